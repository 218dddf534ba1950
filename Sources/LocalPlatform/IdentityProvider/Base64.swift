internal import Foundation

/// Base64 (RFC 4648): §4 with padding, §5 (`url`) without.
enum Base64 {
    static func standard(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }

    static func url(_ bytes: [UInt8]) -> String {
        String(standard(bytes).compactMap { (character: Character) -> Character? in
            switch character {
            case "+": "-"
            case "/": "_"
            case "=": nil
            default: character
            }
        })
    }

    static func decodedStandard(_ text: String) -> [UInt8]? { Data(base64Encoded: text).map(Array.init) }

    static func decodedURL(_ text: some StringProtocol) -> [UInt8]? {
        guard !text.contains(where: { "+/=".contains($0) }) else { return nil }
        let standard = String(text.map { (character: Character) -> Character in character == "-" ? "+" : character == "_" ? "/" : character })
        return decodedStandard(standard + String(repeating: "=", count: (4 - standard.utf8.count % 4) % 4))
    }
}
