package import GatewayTerms

/// One key of the ring that seals the browser's cookies (D14).
package struct LoginKey: Sendable, Equatable {
    /// Stands in clear in every cookie that it sealed: 1 to 16 letters, digits, `_` and `-`.
    package let id: String
    /// 32 bytes for AES-256-GCM.
    package let secret: Secret
    package let created: WallTime
    /// From then on it may seal; until then replicas load it, and can open what others seal with it.
    package let encryptsAfter: WallTime

    package static let byteCount = 32
    package static let idBytesMax = 16

    init(id: String, secret: Secret, created: WallTime, encryptsAfter: WallTime) {
        self.id = id
        self.secret = secret
        self.created = created
        self.encryptsAfter = encryptsAfter
    }

    static func isID(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= idBytesMax && text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                 UInt8(ascii: "_"), UInt8(ascii: "-"): true
            default: false
            }
        }
    }
}

/// So many bytes that nobody can guess: the system's generator, or a seeded one in tests.
package typealias RandomBytes = (Int) -> [UInt8]
