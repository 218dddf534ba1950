import Testing

@Suite struct ValueFaultTests {
    @Test("A value that its row does not allow is refused with its place and what is allowed", arguments: cases)
    func reports(change: Change) {
        #expect(change.diagnostics == change.expected)
    }

    static let cases: [Change] = [
        .adding("A size over its range", "limits: { head_bytes: 1MiB }", ["g.yaml:5:23: limits.head_bytes: 1MiB is outside 1KiB…64KiB. Set a value in that range."]),
        .adding("A size under its range", "limits: { head_bytes: 512 }", ["g.yaml:5:23: limits.head_bytes: 512 is outside 1KiB…64KiB. Set a value in that range."]),
        .adding("A size with an unknown unit", "limits: { head_bytes: 60KB }", ["g.yaml:5:23: limits.head_bytes: 60KB is not a size. Write a whole number with B, KiB, MiB or GiB, 64KiB."]),
        .adding("A size that does not fit", "limits: { body_bytes: 99999999999999999999 }", ["g.yaml:5:23: limits.body_bytes: 99999999999999999999 is not a size. Write a whole number with B, KiB, MiB or GiB, 64KiB."]),
        .adding("A negative size", "limits: { body_bytes: -1 }", ["g.yaml:5:23: limits.body_bytes: -1 is not a size. Write a whole number with B, KiB, MiB or GiB, 64KiB."]),
        .adding("A size that is a list", "limits: { body_bytes: [1MiB] }", ["g.yaml:5:23: limits.body_bytes: takes a single value: 1KiB…1024GiB."]),
        .adding("A size that is a mapping", "limits: { body_bytes: { max: 1MiB } }", ["g.yaml:5:23: limits.body_bytes: takes a single value: 1KiB…1024GiB."]),
        .adding("A size without a value", "limits:\n  body_bytes:", ["g.yaml:6:14: limits.body_bytes: has no value. It takes 1KiB…1024GiB."]),
        .adding("A size that is null", "limits: { body_bytes: null }", ["g.yaml:5:23: limits.body_bytes: has no value. It takes 1KiB…1024GiB."]),
        .adding("A count over its range", "limits: { fields: 5000 }", ["g.yaml:5:19: limits.fields: 5000 is outside 16…1000. Set a value in that range."]),
        .adding("A count that is no number", "limits: { fields: many }", ["g.yaml:5:19: limits.fields: many is not a whole number. It takes 16…1000."]),
        .adding("A fraction", "limits: { fields: 10.5 }", ["g.yaml:5:19: limits.fields: 10.5 is not a whole number. It takes 16…1000."]),
        .adding("A number in another base", "limits: { fields: 0x40 }", ["g.yaml:5:19: limits.fields: 0x40 is not a whole number. It takes 16…1000."]),
        .adding("A count that may not be off", "limits: { connections: off }", ["g.yaml:5:24: limits.connections: off is not a whole number. It takes 1…1000000."]),
        .adding("A word where off or a number may stand", "limits: { requests_per_connection: never }", ["g.yaml:5:36: limits.requests_per_connection: never is not a whole number or off. It takes 1…1000000 or off."]),
        .adding("A zero where off is meant", "limits: { requests_per_connection: 0 }", ["g.yaml:5:36: limits.requests_per_connection: 0 is outside 1…1000000 or off. Set a value in that range."]),
        .adding("A duration without a unit", "timeouts: { head: 10 }", ["g.yaml:5:19: timeouts.head: 10 is not a duration. Write a whole number with ms, s, m, h or d, 30s."]),
        .adding("A duration with an unknown unit", "timeouts: { head: 10sec }", ["g.yaml:5:19: timeouts.head: 10sec is not a duration. Write a whole number with ms, s, m, h or d, 30s."]),
        .adding("A duration under its range", "timeouts: { head: 10ms }", ["g.yaml:5:19: timeouts.head: 10ms is outside 100ms…5m. Set a value in that range."]),
        .adding("A duration over its range", "timeouts: { head: 1h }", ["g.yaml:5:19: timeouts.head: 1h is outside 100ms…5m. Set a value in that range."]),
        .adding("A duration where off may stand", "limits: { connection_age: forever }", ["g.yaml:5:27: limits.connection_age: forever is not a duration. Write a whole number with ms, s, m, h or d, 30s, or off."]),
        .adding("A duration of many years", "drain: { accept_for: 99999999d }", ["g.yaml:5:22: drain.accept_for: 99999999d is not a duration. Write a whole number with ms, s, m, h or d, 30s."]),
        .adding("A negative duration", "drain: { accept_for: -5s }", ["g.yaml:5:22: drain.accept_for: -5s is not a duration. Write a whole number with ms, s, m, h or d, 30s."]),
        .adding("An unknown word, near a known one", "log: { level: warn }", ["g.yaml:5:15: log.level: warn is not one of debug | info | notice | warning | error. Did you mean warning?"]),
        .adding("An unknown word, near none", "log: { level: chatty }", ["g.yaml:5:15: log.level: chatty is not one of debug | info | notice | warning | error."]),
        .adding("A word in capitals", "log: { level: INFO }", ["g.yaml:5:15: log.level: INFO is not one of debug | info | notice | warning | error. Did you mean info?"]),
        .adding("An address without a port", "health: { address: 127.0.0.1 }", ["g.yaml:5:20: health.address: 127.0.0.1 is not an IP address and a port, 127.0.0.1:8443 or [::]:8443."]),
        .adding("A host name where an address is meant", "health: { address: \"localhost:8086\" }", ["g.yaml:5:20: health.address: localhost:8086 is not an IP address and a port, 127.0.0.1:8443 or [::]:8443."]),
        .adding("A port over 65535", "health: { address: \"127.0.0.1:70000\" }", ["g.yaml:5:20: health.address: 127.0.0.1:70000 is not an IP address and a port, 127.0.0.1:8443 or [::]:8443."]),
        .adding("An IPv6 address without brackets", "health: { address: \"::1:8086\" }", ["g.yaml:5:20: health.address: ::1:8086 is not an IP address and a port, 127.0.0.1:8443 or [::]:8443."]),
        .adding("A metrics address that is neither address nor off", "admin: { metrics_address: none }", ["g.yaml:5:27: admin.metrics_address: none is not an IP address and a port, 127.0.0.1:8443 or [::]:8443 or off."]),
        .adding("A section that is a list", "limits: [head_bytes]", ["g.yaml:5:9: limits: must be a mapping, KEY: VALUE."]),
        .adding("A section that is a word", "timeouts: short", ["g.yaml:5:11: timeouts: must be a mapping, KEY: VALUE."]),
        .adding("Event loops beyond any machine", "event_loops: 1000", ["g.yaml:5:14: event_loops: 1000 is outside 1…256 or cores. Set a value in that range."]),
        .adding("A control character in a value", "log: { level: \"in\\tfo\" }", ["g.yaml:5:15: log.level: \"in\\u{9}fo\" is not one of debug | info | notice | warning | error. Did you mean info?"]),
        .adding("A value of a thousand bytes", "log: { level: \(String(repeating: "x", count: 1000)) }", ["g.yaml:5:15: log.level: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…\" is not one of debug | info | notice | warning | error."]),
        .adding("Two faults in one section", "limits: { fields: 1, head_bytes: 1 }", [
            "g.yaml:5:19: limits.fields: 1 is outside 16…1000. Set a value in that range.",
            "g.yaml:5:34: limits.head_bytes: 1 is outside 1KiB…64KiB. Set a value in that range.",
        ]),
        .adding("Limits that do not fit into the head", "limits: { head_bytes: 16KiB }", [
            "g.yaml:5:23: limits.head_bytes: cookie_bytes, 24KiB, is more than head_bytes, 16KiB, which holds it. Raise head_bytes or lower cookie_bytes.",
            "g.yaml:5:23: limits.head_bytes: authorization_bytes, 17KiB, is more than head_bytes, 16KiB, which holds it. Raise head_bytes or lower authorization_bytes.",
        ]),
        .adding("A cookie line larger than the head", "limits: { head_bytes: 32KiB, cookie_bytes: 40KiB }", ["g.yaml:5:44: limits.cookie_bytes: cookie_bytes, 40KiB, is more than head_bytes, 32KiB, which holds it. Raise head_bytes or lower cookie_bytes."]),
        .adding("An idle time longer than the lifetime", "login_sessions: { lifetime: 1h, idle: 2h }", ["g.yaml:5:39: login_sessions.idle: 2h is longer than lifetime, 1h, and would never end a login. Set less."]),
    ]
}
