package import GatewayTerms

/// How a route changes the path before it is forwarded. It works on the canonical path, whose first bytes are the route's
/// prefix by whole segments, so no decoded length can differ from a raw one (CVE-2026-40912).
package enum PathRewrite: Sendable, Equatable {
    case keep
    case stripPrefix

    /// The part of `path` that the upstream sees: `/api/metadata/flows` without `/api/metadata` is `/flows`; the prefix alone
    /// becomes `/`. `prefixCount` is what ``RouteMatch/route(index:prefixCount:)`` gave.
    package func range(in path: CanonicalPath, prefixCount: Int) -> Range<Int>? {
        switch self {
        case .keep: 0..<path.bytes.count
        case .stripPrefix: prefixCount < path.bytes.count ? prefixCount..<path.bytes.count : nil
        }
    }
}
