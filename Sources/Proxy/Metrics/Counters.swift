/// What one loop has counted since it began; loops count without locks, and the sum is made when somebody asks.
package struct Counters: Sendable {
    /// Exchanges begun, and ended.
    package var requests: UInt64 = 0
    package var ended: UInt64 = 0
    /// Ended exchanges, by ``RequestSeries``.
    package var requestSeries = SeriesCounts()
    /// Ended exchanges of which the gateway or an upstream failed: 5xx.
    package var errors: UInt64 = 0
    /// By number in ``MetricNames/stages``; tunnels are left out, since they last as long as somebody looks.
    package var durations: [DurationHistogram] = []
    /// By number in ``MetricNames/upstreams``.
    package var upstreams: [UpstreamCounts] = []
    /// Decisions, by ``AuthenticationSeries``.
    package var decisions = SeriesCounts()
    /// Tokens and login cookies that were looked at before, and those that libcrypto had to look at.
    package var tokensKnown: UInt64 = 0
    package var tokensVerified: UInt64 = 0
    package var loginsKnown: UInt64 = 0
    package var loginsOpened: UInt64 = 0
    package var handshakes: UInt64 = 0
    package var handshakeFailures: UInt64 = 0
    package var connectionsAccepted: UInt64 = 0
    /// Closed at the limit of connections, and of handshakes.
    package var connectionsRefused: UInt64 = 0
    package var handshakesRefused: UInt64 = 0
    package var proxyProtocolRefused: UInt64 = 0
    /// Requests refused because an upstream's queue was full or its turn did not come.
    package var pendingRefused: UInt64 = 0
    /// Requests refused by a rate limit.
    package var rateRefused: UInt64 = 0
    /// HTTP/2 connections that ended because the client broke the protocol, or sent too much of something.
    package var http2Failures: UInt64 = 0
    package var logLinesDropped: UInt64 = 0
    package var downstreamConnections = 0
    /// WebSockets and other switches of protocols that are open now.
    package var openTunnels = 0

    package init() {}

    package mutating func upstream(_ number: Int, _ change: (inout UpstreamCounts) -> Void) {
        while upstreams.count <= number { upstreams.append(UpstreamCounts()) }
        change(&upstreams[number])
    }

    package mutating func lasted(_ nanoseconds: Int64, stage: Int) {
        while durations.count <= stage { durations.append(DurationHistogram()) }
        durations[stage].record(nanoseconds)
    }

    /// Of all stages together.
    package var duration: DurationHistogram { durations.reduce(DurationHistogram(), +) }

    package static func + (left: Counters, right: Counters) -> Counters {
        var sum = left
        sum.requests += right.requests
        sum.ended += right.ended
        sum.requestSeries.add(right.requestSeries)
        sum.errors += right.errors
        for (number, duration) in right.durations.enumerated() {
            if number < sum.durations.count { sum.durations[number] = sum.durations[number] + duration } else { sum.durations.append(duration) }
        }
        for (number, counts) in right.upstreams.enumerated() {
            if number < sum.upstreams.count { sum.upstreams[number] = sum.upstreams[number] + counts } else { sum.upstreams.append(counts) }
        }
        sum.decisions.add(right.decisions)
        sum.tokensKnown += right.tokensKnown
        sum.tokensVerified += right.tokensVerified
        sum.loginsKnown += right.loginsKnown
        sum.loginsOpened += right.loginsOpened
        sum.handshakes += right.handshakes
        sum.handshakeFailures += right.handshakeFailures
        sum.connectionsAccepted += right.connectionsAccepted
        sum.connectionsRefused += right.connectionsRefused
        sum.handshakesRefused += right.handshakesRefused
        sum.proxyProtocolRefused += right.proxyProtocolRefused
        sum.pendingRefused += right.pendingRefused
        sum.rateRefused += right.rateRefused
        sum.http2Failures += right.http2Failures
        sum.logLinesDropped += right.logLinesDropped
        sum.downstreamConnections += right.downstreamConnections
        sum.openTunnels += right.openTunnels
        return sum
    }
}

/// The connections of one loop to one endpoint of the current snapshot.
package struct EndpointReading: Sendable, Equatable {
    /// In ``MetricNames/upstreams``.
    package var upstream: Int
    /// `host:port`.
    package var endpoint: String
    /// As in ``Endpoint/identity``.
    package var identity: String
    package var active = 0
    package var idle = 0
    package var pending = 0
    /// Loops that leave it alone for a while because dials failed.
    package var ejections = 0
    package var isUnhealthy = false
}

/// What one loop says of itself when it is asked.
package struct WorkerReading: Sendable {
    package var counters = Counters()
    /// In the order of the snapshot's upstreams and their endpoints.
    package var endpoints: [EndpointReading] = []
    package var loops = 0
    /// By the id of the key that opened them.
    package var loginCookiesByKey: [String: UInt64] = [:]

    package init() {}

    package static func + (left: WorkerReading, right: WorkerReading) -> WorkerReading {
        var sum = WorkerReading()
        sum.counters = left.counters + right.counters
        sum.loops = left.loops + right.loops
        sum.loginCookiesByKey = left.loginCookiesByKey.merging(right.loginCookiesByKey, uniquingKeysWith: &+)
        sum.endpoints = left.endpoints
        for reading in right.endpoints {
            guard let index = sum.endpoints.firstIndex(where: { $0.upstream == reading.upstream && $0.endpoint == reading.endpoint && $0.identity == reading.identity }) else {
                sum.endpoints.append(reading)
                continue
            }
            sum.endpoints[index].active += reading.active
            sum.endpoints[index].idle += reading.idle
            sum.endpoints[index].pending += reading.pending
            sum.endpoints[index].ejections += reading.ejections
            sum.endpoints[index].isUnhealthy = sum.endpoints[index].isUnhealthy || reading.isUnhealthy
        }
        return sum
    }
}

/// The little that a rate needs, cheap enough to be read every other second.
package struct TrafficReading: Sendable {
    package var requests: UInt64 = 0
    package var errors: UInt64 = 0
    package var logLinesDropped: UInt64 = 0
    package var duration = DurationHistogram()

    package init() {}

    package init(_ counters: Counters) {
        (requests, errors, logLinesDropped, duration) = (counters.ended, counters.errors, counters.logLinesDropped, counters.duration)
    }

    package static func + (left: TrafficReading, right: TrafficReading) -> TrafficReading {
        var sum = left
        sum.requests += right.requests
        sum.errors += right.errors
        sum.logLinesDropped += right.logLinesDropped
        sum.duration = left.duration + right.duration
        return sum
    }
}
