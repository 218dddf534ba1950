package import GatewayConfiguration

/// Settings that hold from the start of the process on: a reload that changes one is refused, since taking up the rest of a configuration
/// and not this would be half of it.
package enum RestartOnly {
    static func check(_ new: Configuration, against old: Configuration) throws(Diagnostics) {
        let faults = faults(new, against: old)
        guard faults.isEmpty else { throw Diagnostics(faults: faults, warnings: [], isUnreadable: false) }
    }

    /// The same for who looks ahead: a reload would refuse what these warnings name, and a restart takes it up.
    package static func warnings(_ new: Configuration, against old: Configuration) -> [Diagnostic] {
        faults(new, against: old).map { Diagnostic(.warning, at: $0.location, setting: $0.setting, value: $0.value, $0.message) }
    }

    private static func faults(_ new: Configuration, against old: Configuration) -> [Diagnostic] {
        var faults: [Diagnostic] = []
        func fault(_ setting: String, at location: SourceLocation?, _ value: String) {
            let location = location ?? SourceLocation(file: "", line: 0, column: 0)
            faults.append(Diagnostic(.error, at: location, setting: setting, value: value, "\(value) takes a restart; a reload cannot change it. Restart the gateway, or set the old value again."))
        }
        if new.listeners.map(\.address.value) != old.listeners.map(\.address.value) {
            fault("listeners", at: new.listeners.first?.location, new.listeners.map(\.address.value.description).joined(separator: ", "))
        }
        if new.health != old.health { fault("health.address", at: new.health.address.location, new.health.address.value.description) }
        if new.admin.metricsAddress?.value != old.admin.metricsAddress?.value {
            fault("admin.metrics_address", at: new.admin.metricsAddress?.location ?? new.admin.socket.location, new.admin.metricsAddress?.value.description ?? "none")
        }
        if new.admin.socket.value != old.admin.socket.value { fault("admin.socket", at: new.admin.socket.location, new.admin.socket.value) }
        if new.accessLog != old.accessLog { fault("access_log.path", at: new.accessLog.location, "\(new.accessLog.destination)") }
        if new.stateDirectory.value != old.stateDirectory.value { fault("state_directory", at: new.stateDirectory.location, new.stateDirectory.value) }
        if new.eventLoops != old.eventLoops { fault("event_loops", at: nil, new.eventLoops.map(String.init) ?? "cores") }
        return faults
    }
}
