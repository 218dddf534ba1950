/// What a listening socket is for: the setting that asks for it and the address that stands there. It names a socket on its way from one
/// process to the next, so that each lands where its successor's configuration wants it.
package struct SocketPurpose: Sendable, Hashable, CustomStringConvertible {
    package enum Setting: String, Sendable, CaseIterable { case listener, health, metrics, admin }

    package let setting: Setting
    /// As configured: `[::]:8443`, or a path.
    package let address: String

    package init(_ setting: Setting, _ address: String) { (self.setting, self.address) = (setting, address) }

    /// Reads the description.
    package init?(_ text: some StringProtocol) {
        guard let blank = text.firstIndex(of: " "), let setting = Setting(rawValue: String(text[..<blank])) else { return nil }
        let address = String(text[text.index(after: blank)...])
        guard !address.isEmpty else { return nil }
        self.init(setting, address)
    }

    package var description: String { "\(setting.rawValue) \(address)" }
}
