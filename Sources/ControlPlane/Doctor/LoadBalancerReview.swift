package import GatewayConfiguration
internal import GatewayTerms

/// A configuration held against the load balancer in front of it (A11): the times that follow from both, and where they contradict.
package struct LoadBalancerReview: Sendable {
    package struct Timer: Sendable, Equatable {
        package let name: String
        package let value: String
    }
    package struct Finding: Sendable, Equatable {
        /// Requests are lost, or never come; a note is worth a look.
        package let isContradiction: Bool
        /// The setting of the gateway, or the attribute of AWS.
        package let about: String
        /// What is wrong, what follows, what to do.
        package let message: String
    }

    package private(set) var timers: [Timer] = []
    package private(set) var findings: [Finding] = []
    private let configuration: Configuration
    private let loadBalancer: LoadBalancer

    package var contradictions: Int { findings.count { $0.isContradiction } }

    package init(_ configuration: Configuration, _ loadBalancer: LoadBalancer) {
        (self.configuration, self.loadBalancer) = (configuration, loadBalancer)
        reviewIdle()
        reviewDrain()
        reviewAttributes()
        for group in loadBalancer.targetGroups { review(group) }
        for listener in loadBalancer.listeners { review(listener) }
    }

    private mutating func timer(_ name: String, _ value: String) { timers.append(Timer(name: name, value: value)) }
    private mutating func contradiction(_ about: String, _ message: String) { findings.append(Finding(isContradiction: true, about: about, message: message)) }
    private mutating func note(_ about: String, _ message: String) { findings.append(Finding(isContradiction: false, about: about, message: message)) }

    // MARK: Times

    /// A TLS listener's idle timeout cannot be changed, a TCP listener's is 350 s unless somebody did.
    private static let idleSeconds = 350
    /// How long an NLB goes on sending new connections to a target that is unhealthy or deregistered, as AWS's support says.
    private static let leavingSeconds = 180

    private mutating func reviewIdle() {
        let idle = loadBalancer.seconds("tcp.idle_timeout.seconds") ?? Self.idleSeconds
        let keepAlive = configuration.timeouts.keepAlive.wholeSeconds
        timer("idle connections", "the gateway closes them after \(keepAlive)s, the load balancer forgets them after \(idle)s")
        if keepAlive >= idle {
            contradiction("timeouts.keep_alive", "\(keepAlive)s is not below the \(idle)s after which the load balancer forgets a connection: a client's next request on it is answered with a reset. Set \(max(1, idle - 10))s.")
        }
    }

    private mutating func reviewDrain() {
        let accept = configuration.drain.acceptFor.wholeSeconds, finish = configuration.drain.finishFor.wholeSeconds
        timer("drain", "accepting for \(accept)s, finishing for \(finish)s, over after \(accept + finish)s; earlier after \(configuration.drain.quietFor.wholeSeconds)s without clients and probes")
        timer("terminationGracePeriodSeconds, TimeoutStopSec", "at least \(accept + finish + 30)s")
        if accept < Self.leavingSeconds {
            contradiction("drain.accept_for", "\(accept)s is below the \(Self.leavingSeconds)s and more that an NLB goes on sending new connections: they would be refused. Set 240s.")
        }
        guard let delay = loadBalancer.seconds("deregistration_delay.timeout_seconds") else { return }
        timer("deregistration", "the load balancer keeps a deregistered target's connections for \(delay)s")
        if delay < accept + finish {
            contradiction("deregistration_delay.timeout_seconds", "\(delay)s ends before the gateway's drain, \(accept + finish)s: connections are cut that it would have finished. Set \(accept + finish) or more.")
        }
    }

    private mutating func reviewAttributes() {
        if loadBalancer.flag("target_health_state.unhealthy.connection_termination.enabled") == true {
            contradiction("target_health_state.unhealthy.connection_termination.enabled", "true cuts every connection when readiness fails, which is how a drain begins. Set false, and target_health_state.unhealthy.draining_interval_seconds to \((configuration.drain.acceptFor + configuration.drain.finishFor).wholeSeconds).")
        }
        if loadBalancer.attributes["proxy_protocol_v2.enabled"] == nil {
            note("proxy_protocol_v2.enabled", "no file says whether the load balancer sends the PROXY protocol. Add the output of aws elbv2 describe-target-group-attributes.")
        }
    }

    // MARK: Target groups

    private mutating func review(_ group: LoadBalancer.TargetGroup) {
        let listener = group.port.flatMap { port in configuration.listeners.first { Int($0.address.value.port) == port } }
        reviewProtocol(group, listener)
        reviewProxyProtocol(group, listener)
        reviewHealth(group)
        if let interval = group.healthInterval, let threshold = group.unhealthyThreshold {
            let noticed = interval * threshold
            timer("\(group.name): readiness", "a drain is noticed after \(noticed)s (\(threshold) checks, \(interval)s apart)")
            if configuration.drain.acceptFor.wholeSeconds < noticed {
                contradiction("drain.accept_for", "\(configuration.drain.acceptFor.wholeSeconds)s is over before \(group.name) notices the drain, after \(noticed)s. Set 240s, or check more often.")
            }
        }
    }

    private mutating func reviewProtocol(_ group: LoadBalancer.TargetGroup, _ listener: Configuration.Listener?) {
        guard let spoken = group.protocolName else { return }
        switch spoken {
        case "TCP", "TLS": break
        case "HTTP", "HTTPS":
            contradiction("\(group.name) Protocol", "\(spoken) is an Application Load Balancer's: it speaks HTTP itself and ends connections by its own times. Put a Network Load Balancer in front, or do not use this review.")
            return
        default:
            contradiction("\(group.name) Protocol", "\(spoken) does not reach a gateway that speaks TLS over TCP. Set TCP or TLS.")
            return
        }
        guard let listener else {
            if let port = group.port {
                let ports = configuration.listeners.map { "\($0.address.value)" }.joined(separator: ", ")
                note("\(group.name) Port", "no listener is on port \(port); there are \(ports). Where targets are registered with another port, give that one.")
            }
            return
        }
        if spoken == "TLS", case .redirectToHTTPS = listener.role {
            contradiction("\(group.name) Protocol", "TLS to \(listener.address.value), which speaks plain HTTP: every connection fails. Set TCP, or the port of a listener with tls.")
        }
    }

    private mutating func reviewProxyProtocol(_ group: LoadBalancer.TargetGroup, _ listener: Configuration.Listener?) {
        guard let listener, let sends = loadBalancer.flag("proxy_protocol_v2.enabled") else { return }
        let expects = if case .proxyProtocol = listener.clientAddress { true } else { false }
        if sends, !expects {
            contradiction("proxy_protocol_v2.enabled", "\(group.name) sends the PROXY protocol, and \(listener.address.value) does not expect it: every connection is refused. Set client_address: { proxy_protocol: { trusted: […] } } there, or false here.")
        } else if !sends, expects {
            contradiction("proxy_protocol_v2.enabled", "\(listener.address.value) expects the PROXY protocol, and \(group.name) does not send it: every connection is closed. Set true here, or another client_address there.")
        }
    }

    private mutating func reviewHealth(_ group: LoadBalancer.TargetGroup) {
        let own = Int(configuration.health.address.value.port)
        let port = group.healthPort ?? group.port
        if let port, port != own {
            let listener = configuration.listeners.first { Int($0.address.value.port) == port }
            if let listener, case .proxyProtocol = listener.clientAddress {
                contradiction("\(group.name) HealthCheckPort", "checks go to \(port), where \(listener.address.value) expects the PROXY protocol, which checks do not send: every target is unhealthy. Set \(own), the health port.")
            } else if listener != nil {
                contradiction("\(group.name) HealthCheckPort", "checks go to \(port), a listener of clients, which does not tell a drain. Set \(own), the health port.")
            } else {
                contradiction("\(group.name) HealthCheckPort", "checks go to \(port), and the health port is \(own). Set \(own).")
            }
            return
        }
        switch group.healthProtocol {
        case nil, "HTTP": break
        case "TCP": contradiction("\(group.name) HealthCheckProtocol", "TCP succeeds as long as the process lives, also in a drain. Set HTTP and the path /readyz.")
        case let other?: contradiction("\(group.name) HealthCheckProtocol", "\(other) is not spoken on the health port, which is plain HTTP. Set HTTP.")
        }
        if let path = group.healthPath, !["/readyz", "/healthz"].contains(path) {
            contradiction("\(group.name) HealthCheckPath", path == "/livez" ? "/livez does not fail in a drain. Set /readyz." : "\(path) is not answered on the health port. Set /readyz.")
        }
    }

    // MARK: Listeners

    private mutating func review(_ listener: LoadBalancer.Listener) {
        let name = "listener \(listener.port.map(String.init) ?? "")"
        if listener.protocolName == "TLS" {
            if loadBalancer.targetGroups.contains(where: { $0.protocolName == "TCP" && isSecure($0.port) }) {
                contradiction("\(name) Protocol", "TLS ends here and the targets get plain text over TCP, where the gateway speaks TLS. Set the target group's protocol to TLS, or this listener's to TCP.")
            }
            if listener.applicationProtocolPolicy.map({ $0 == "None" || $0 == "HTTP1Only" }) ?? true {
                note("\(name) AlpnPolicy", "clients get HTTP/1.1 only. Set HTTP2Preferred.")
            }
        }
    }

    private func isSecure(_ port: Int?) -> Bool {
        configuration.listeners.contains { listener in
            guard Int(listener.address.value.port) == port, case .stages = listener.role else { return false }
            return true
        }
    }

    // MARK: In print

    package var text: String {
        var lines = timers.map { "\($0.name): \($0.value)" }
        lines += findings.map { "\($0.isContradiction ? "contradiction" : "note"): \($0.about): \($0.message)" }
        let count = contradictions
        lines.append(count == 0 ? "no contradictions" : "\(count) contradiction\(count == 1 ? "" : "s")")
        return lines.joined(separator: "\n")
    }

    package var json: String {
        JSONText.object { object in
            object.member("timers", json: "[" + timers.map { timer in
                JSONText.object { object in
                    object.member("name", timer.name)
                    object.member("value", timer.value)
                }
            }.joined(separator: ",") + "]")
            object.member("findings", json: "[" + findings.map { finding in
                JSONText.object { object in
                    object.member("severity", finding.isContradiction ? "contradiction" : "note")
                    object.member("about", finding.about)
                    object.member("message", finding.message)
                }
            }.joined(separator: ",") + "]")
        }
    }
}

extension Duration {
    /// Rounded down.
    fileprivate var wholeSeconds: Int { Int(clamping: components.seconds) }
}
