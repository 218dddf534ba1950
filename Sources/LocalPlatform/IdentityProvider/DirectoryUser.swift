/// Somebody who can sign in. Three names have groups; every other valid name is somebody without groups, like `guest`.
struct DirectoryUser: Sendable, Equatable {
    /// The one password of the local platform. It protects nothing: the platform listens on loopback and is for development.
    static let password = "metaflow"

    let name: String
    let groups: [String]

    /// Nothing when the name is not 1 to 64 of `A-Z a-z 0-9 . _ @ + -`.
    init?(named name: String) {
        guard (1...64).contains(name.utf8.count), name.utf8.allSatisfy(Self.isNameByte) else { return nil }
        self.name = name
        groups = switch name {
        case "ada": ["science"]
        case "grace": ["science", "ml-admins"]
        default: []
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: ".-_@+".utf8.contains(byte)
        }
    }

    var email: String { name.contains("@") ? name : name + "@example.com" }

    /// `sub`: the same for the same name in the same pool, for ever; an unrelated one in another pool.
    func subject(in pool: String) -> String {
        let digits = Digest.hex(of: pool + "/" + name)
        func part(_ from: Int, _ count: Int) -> Substring { digits.dropFirst(from).prefix(count) }
        return "\(part(0, 8))-\(part(8, 4))-\(part(12, 4))-\(part(16, 4))-\(part(20, 12))"
    }
}
