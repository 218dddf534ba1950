/// Whether a client will send heartbeats: Metaflow has since 2.2.12, and says its version in a system tag.
enum HeartbeatCapability {
    static func isAnnounced(in systemTags: [String]) -> Bool {
        guard let tag = systemTags.first(where: { $0.hasPrefix("metaflow_version:") }) else { return false }
        let numbers = tag.dropFirst("metaflow_version:".count)
            .split(separator: ".", omittingEmptySubsequences: false).prefix(3)
            .map { part in Int(part.prefix { $0.isASCII && $0.isNumber }) ?? 0 }
        return !numbers.lexicographicallyPrecedes([2, 2, 12])
    }
}
