package import GatewayTerms

/// What a table matches on: a path prefix by whole segments, and methods.
package struct RoutePattern: Sendable, Hashable {
    package let prefix: CanonicalPath
    package let methods: MethodSet

    package init(prefix: CanonicalPath, methods: MethodSet = .all) {
        self.prefix = prefix
        self.methods = methods
    }
}

/// The answer of one look-up.
package enum RouteMatch: Equatable, Sendable {
    /// The route's index in the list that the table was made from, and how many bytes of the path its prefix takes.
    case route(index: Int, prefixCount: Int)
    /// Some route has this path, none has this method: 405 with `Allow`.
    case methodNotAllowed(MethodSet)
    case none
}

/// The routes of one stage, compiled at load into flat arrays and never changed.
///
/// Precedence is that of the Gateway API (B2): the longest prefix, compared by whole segments and with case, that also has the
/// request's method; among equal prefixes one that names its methods, then the first in the list. A trailing slash of a prefix means nothing, so `/api` and
/// `/api/` are one prefix, which matches `/api`, `/api/` and `/api/x` and not `/apis`.
package struct RouteTable: Sendable {
    private struct Node {
        /// Routes that end here: a range of `entries`.
        var first: Int32 = 0
        var count: Int32 = 0
        /// Bytes of the path up to here, without a trailing slash.
        var depth: Int32 = 0
        /// Whether some node lies below; spares the hash of a segment that leads nowhere.
        var hasChildren = false
    }
    private struct Entry {
        var methods: MethodSet
        var index: Int32
    }
    private struct Edge {
        var parent: Int32 = -1
        var child: Int32 = 0
        var segmentStart: Int32 = 0
        var segmentCount: Int32 = 0
    }

    private let nodes: [Node]
    private let entries: [Entry]
    /// Open addressing; the size is a power of two and at least twice the number of edges.
    private let edges: [Edge]
    private let segments: [UInt8]
    package let patterns: [RoutePattern]

    package init(_ patterns: [RoutePattern]) {
        self.patterns = patterns
        var builder = Builder(expected: patterns.count)
        var routesOfNode: [[Int]] = [[]]
        for (index, pattern) in patterns.enumerated() {
            let node = builder.node(for: pattern.prefix.bytes)
            while routesOfNode.count < builder.nodes.count { routesOfNode.append([]) }
            routesOfNode[node].append(index)
        }
        var entries: [Entry] = []
        for (node, routes) in routesOfNode.enumerated() {
            builder.nodes[node].first = Int32(entries.count)
            builder.nodes[node].count = Int32(routes.count)
            // A route that names its methods goes before one that takes all.
            let ordered = routes.filter { patterns[$0].methods != .all } + routes.filter { patterns[$0].methods == .all }
            entries += ordered.map { Entry(methods: patterns[$0].methods, index: Int32($0)) }
        }
        nodes = builder.nodes
        edges = builder.edges
        segments = builder.segments
        self.entries = entries
    }

    /// Walks the path's segments once; no allocation.
    package func match(_ path: CanonicalPath, method: Method) -> RouteMatch {
        path.bytes.withSpan { match($0, method: method) }
    }

    private func match(_ path: Span<UInt8>, method: Method) -> RouteMatch {
        var best = RouteMatch.none
        var allowed: MethodSet = []
        var node = 0
        var start = 1
        while true {
            let here = nodes[node]
            for entry in entries[Int(here.first)..<Int(here.first + here.count)] {
                if entry.methods.contains(method) {
                    best = .route(index: Int(entry.index), prefixCount: Int(here.depth))
                    break
                }
                allowed.formUnion(entry.methods)
            }
            guard here.hasChildren, start < path.count else { break }
            var end = start
            while end < path.count, path[end] != UInt8(ascii: "/") { end += 1 }
            guard end > start, let child = Self.child(of: node, path.extracting(start..<end), edges: edges, segments: segments) else { break }
            node = child
            start = end + 1
        }
        if best == .none, !allowed.isEmpty { return .methodNotAllowed(allowed) }
        return best
    }

    private static func child(of node: Int, _ segment: Span<UInt8>, edges: [Edge], segments: [UInt8]) -> Int? {
        let mask = edges.count - 1
        var slot = hash(node, segment) & mask
        while edges[slot].parent >= 0 {
            let edge = edges[slot]
            if edge.parent == node, edge.segmentCount == segment.count {
                var offset = 0
                while offset < segment.count, segments[Int(edge.segmentStart) + offset] == segment[offset] { offset += 1 }
                if offset == segment.count { return Int(edge.child) }
            }
            slot = (slot + 1) & mask
        }
        return nil
    }

    /// FNV-1a, folded: the table is the operator's, so no client chooses what collides.
    private static func hash(_ node: Int, _ segment: Span<UInt8>) -> Int {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ (UInt64(node) &* 0x9e37_79b9_7f4a_7c15)
        for index in segment.indices { hash = (hash ^ UInt64(segment[index])) &* 0x100_0000_01b3 }
        return Int(truncatingIfNeeded: (hash ^ (hash >> 29)) & 0x7fff_ffff)
    }

    private struct Builder {
        var nodes = [Node()]
        var edges: [Edge]
        var segments: [UInt8] = []
        private var edgeCount = 0

        init(expected: Int) {
            var size = 16
            while size < expected * 4 { size *= 2 }
            edges = Array(repeating: Edge(), count: size)
        }

        mutating func node(for prefix: [UInt8]) -> Int {
            var node = 0
            var depth = 0
            for segment in prefix.split(separator: UInt8(ascii: "/")) {
                depth += segment.count + 1
                let bytes = Array(segment)
                if let child = RouteTable.child(of: node, bytes.span, edges: edges, segments: segments) {
                    node = child
                    continue
                }
                if (edgeCount + 1) * 2 > edges.count { grow() }
                nodes[node].hasChildren = true
                nodes.append(Node(depth: Int32(depth)))
                insert(Edge(parent: Int32(node), child: Int32(nodes.count - 1), segmentStart: Int32(segments.count), segmentCount: Int32(bytes.count)), bytes)
                segments += bytes
                node = nodes.count - 1
            }
            return node
        }

        private mutating func insert(_ edge: Edge, _ segment: [UInt8]) {
            let mask = edges.count - 1
            var slot = RouteTable.hash(Int(edge.parent), segment.span) & mask
            while edges[slot].parent >= 0 { slot = (slot + 1) & mask }
            edges[slot] = edge
            edgeCount += 1
        }

        private mutating func grow() {
            let old = edges.filter { $0.parent >= 0 }
            edges = Array(repeating: Edge(), count: edges.count * 2)
            edgeCount = 0
            for edge in old { insert(edge, Array(segments[Int(edge.segmentStart)..<Int(edge.segmentStart + edge.segmentCount)])) }
        }
    }
}

/// A route whose prefix holds a path, and what became of it: for explanations, never for serving.
package struct RouteCandidate: Equatable, Sendable {
    package enum Outcome: Equatable, Sendable {
        case chosen
        /// The request's method is none of the route's.
        case methodNotServed
        /// This one's prefix is longer and has the method.
        case lessSpecific(than: Int)
        /// This one has the same prefix and goes first: it names its methods, or stands before.
        case behind(Int)
    }

    /// In the list that the table was made from.
    package let index: Int
    package let outcome: Outcome

    package init(index: Int, outcome: Outcome) { (self.index, self.outcome) = (index, outcome) }
}

extension RouteTable {
    /// Every route whose prefix holds the path, the longest prefix first, with the reason why ``match(_:method:)`` did not take it.
    package func candidates(_ path: CanonicalPath, method: Method) -> [RouteCandidate] {
        var chosen: (index: Int, depth: Int)?
        if case .route(let index, let depth) = match(path, method: method) { chosen = (index, depth) }
        var candidates: [RouteCandidate] = []
        for here in nodesAlong(path).reversed() {
            for entry in entries[Int(here.first)..<Int(here.first + here.count)] {
                let index = Int(entry.index)
                let outcome: RouteCandidate.Outcome = if let chosen, chosen.index == index { .chosen }
                    else if !entry.methods.contains(method) { .methodNotServed }
                    else if let chosen, chosen.depth > Int(here.depth) { .lessSpecific(than: chosen.index) }
                    else { .behind(chosen?.index ?? index) }
                candidates.append(RouteCandidate(index: index, outcome: outcome))
            }
        }
        return candidates
    }

    private func nodesAlong(_ path: CanonicalPath) -> [Node] {
        var along = [nodes[0]]
        var node = 0
        for segment in path.bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: true) {
            let bytes = Array(segment)
            guard nodes[node].hasChildren, let child = Self.child(of: node, bytes.span, edges: edges, segments: self.segments) else { break }
            node = child
            along.append(nodes[node])
        }
        return along
    }
}

extension [UInt8] {
    fileprivate func withSpan<Result>(_ body: (Span<UInt8>) -> Result) -> Result { body(span) }
}
