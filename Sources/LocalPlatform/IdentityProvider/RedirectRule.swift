/// Where a browser may be sent with a code. Cognito compares the whole address; `anyPort` stands for the many addresses that one
/// would register for a gateway whose port a test or a laptop chooses.
enum RedirectRule: Sendable, Equatable {
    case exact(String)
    /// `https://HOST[:port]PATH`.
    case anyPort(host: String, path: String)

    func allows(_ address: String) -> Bool {
        switch self {
        case .exact(let registered):
            return address == registered
        case .anyPort(let host, let path):
            let prefix = "https://" + host
            guard address.hasPrefix(prefix), address.hasSuffix(path), address.utf8.count >= prefix.utf8.count + path.utf8.count else { return false }
            let port = address.utf8.dropFirst(prefix.utf8.count).dropLast(path.utf8.count)
            if port.isEmpty { return true }
            return port.first == UInt8(ascii: ":") && (2...6).contains(port.count)
                && port.dropFirst().allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        }
    }
}
