internal import Authentication

/// What AWS says about a Network Load Balancer: the answers of `aws elbv2 describe-target-groups`, `describe-target-group-attributes`,
/// `describe-listeners` and `describe-listener-attributes`, one after the other or merged, whichever there are.
package struct LoadBalancer: Sendable, Equatable {
    package struct TargetGroup: Sendable, Equatable {
        package var name: String
        package var protocolName: String?
        package var port: Int?
        package var healthProtocol: String?
        /// `nil` for `traffic-port`: the targets' own.
        package var healthPort: Int?
        package var healthPath: String?
        package var healthInterval: Int?
        package var unhealthyThreshold: Int?
    }
    package struct Listener: Sendable, Equatable {
        package var protocolName: String?
        package var port: Int?
        package var applicationProtocolPolicy: String?
    }

    package var targetGroups: [TargetGroup] = []
    package var listeners: [Listener] = []
    /// Of target groups and listeners alike: their names differ. AWS does not say whose they are, so one file holds one group's.
    package var attributes: [String: String] = [:]

    package struct Fault: Error, Sendable, CustomStringConvertible {
        package let description: String

        package init(_ description: String) { self.description = description }
    }

    package init() {}

    /// Adds what a file holds: an answer, an array of answers, or several behind each other.
    package mutating func read(_ bytes: Span<UInt8>) throws(Fault) {
        let value: JSONValue
        do throws(StrictJSON.Fault) {
            value = try StrictJSON.read(bytes, limits: StrictJSON.Limits(bytesMax: 1 << 20, depthMax: 32, valuesMax: 65_536))
        } catch { throw Fault("is no JSON document: \(error)") }
        let answers = (value.array ?? [value]).compactMap(\.object)
        var isKnown = false
        for answer in answers {
            for group in answer["TargetGroups"]?.array?.compactMap(\.object) ?? [] {
                isKnown = true
                targetGroups.append(TargetGroup(group))
            }
            for listener in answer["Listeners"]?.array?.compactMap(\.object) ?? [] {
                isKnown = true
                listeners.append(Listener(
                    protocolName: listener["Protocol"]?.string, port: listener["Port"]?.integer.flatMap { Int(exactly: $0) },
                    applicationProtocolPolicy: listener["AlpnPolicy"]?.strings?.first))
            }
            for attribute in answer["Attributes"]?.array?.compactMap(\.object) ?? [] {
                guard let key = attribute["Key"]?.string, let value = attribute["Value"]?.string else { continue }
                isKnown = true
                attributes[key] = value
            }
        }
        guard isKnown else { throw Fault("holds none of TargetGroups, Listeners and Attributes. Give the output of aws elbv2 describe-target-groups, describe-target-group-attributes or describe-listeners") }
    }

    func flag(_ key: String) -> Bool? { attributes[key].flatMap { Bool($0) } }
    func seconds(_ key: String) -> Int? { attributes[key].flatMap { Int($0) }.flatMap { LoadBalancer.allowed.contains($0) ? $0 : nil } }
    /// Beyond it a number is no port and no time.
    fileprivate static let allowed = 0...1_000_000
}

extension LoadBalancer.TargetGroup {
    fileprivate init(_ group: JSONObject) {
        name = group["TargetGroupName"]?.string ?? group["TargetGroupArn"]?.string ?? "the target group"
        protocolName = group["Protocol"]?.string
        func number(_ name: String) -> Int? { group[name]?.integer.flatMap { Int(exactly: $0) }.flatMap { LoadBalancer.allowed.contains($0) ? $0 : nil } }
        port = number("Port")
        healthProtocol = group["HealthCheckProtocol"]?.string
        healthPort = group["HealthCheckPort"]?.string.flatMap { Int($0) }
        healthPath = group["HealthCheckPath"]?.string
        healthInterval = number("HealthCheckIntervalSeconds")
        unhealthyThreshold = number("UnhealthyThresholdCount")
    }
}
