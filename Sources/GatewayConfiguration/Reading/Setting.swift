package import GatewayTerms

/// One setting: a row of the one table that the reader, the commented configuration files and their test share.
package struct Setting: Sendable {
    package enum Reload: String, Sendable {
        /// A reload applies it.
        case live
        /// A reload that changes it is refused; the process must be restarted.
        case restart
    }

    package enum Presence: Sendable, Equatable {
        case required
        /// May be left out; the text says what that means.
        case optional(String)
        /// As it would be written.
        case `default`(String)
    }

    /// What a single written value may be.
    package enum Form: Sendable {
        case bytes(ClosedRange<ByteCount>)
        /// A whole number, or the one word that may stand in its place.
        case count(ClosedRange<Int>, or: String?)
        case duration(ClosedRange<Duration>, or: String?)
        case boolean
        case word([String])
        /// Any text of 1 to so many bytes.
        case text(Int)
        /// Letters, digits, `-`, `_` and `.`, beginning with a letter or digit.
        case name
        /// What tokens and providers name: printable ASCII without spaces.
        case token
        case socketAddress(or: String?)
        case hostname
        case url
        case publicURL
        case issuer
        case file
        case logDestination
        case addressRange
        case method
        case fieldName
        case routePath
        case healthPath
        case endpoint
        case region
        case userPool
        case identityPool
        case version
        case status
        case redirectTarget
    }

    package enum Kind: Sendable {
        case one(Form)
        case list(Form, ClosedRange<Int>)
        /// A mapping whose keys are rows below this one.
        case section
        /// A list of such mappings.
        case sections(ClosedRange<Int>)
        /// A mapping from names to such mappings.
        case named(ClosedRange<Int>)
        /// A mapping from names of Metaflow settings to texts.
        case texts(ClosedRange<Int>)
        /// `{ file: PATH }` or `{ env: NAME }`.
        case secret
        /// A single value or a mapping; the text says which.
        case either(String)
    }

    /// `limits.head_bytes`, `listeners[].tls.certificates[].chain`; settings of a stage's file begin with `stage.`, and a
    /// `*` stands for a name that the file chooses.
    package let path: String
    /// The last word of the path: the key in the file.
    package let key: String
    package let kind: Kind
    package let presence: Presence
    package let reload: Reload
    /// One sentence: the meaning, and what happens beyond it.
    package let sentence: String

    init(_ path: String, _ kind: Kind, _ presence: Presence, reload: Reload = .live, _ sentence: String) {
        (self.path, self.kind, self.presence, self.reload, self.sentence) = (path, kind, presence, reload, sentence)
        key = String(path[(path.lastIndex(of: ".").map { path.index(after: $0) } ?? path.startIndex)...])
    }

    /// The path of the section that holds it; empty for the top of `gateway.yaml`.
    package var parent: String { path.lastIndex(of: ".").map { String(path[..<$0]) } ?? "" }

    /// What may be written, in words that follow "takes".
    package var allowed: String {
        switch kind {
        case .one(let form): form.allowed
        case .list(let form, let count): "a list of \(Setting.range(count)), each \(form.allowed)"
        case .section: "a mapping"
        case .sections(let count): "a list of \(Setting.range(count)) mappings"
        case .named(let count): "\(Setting.range(count)) mappings by name"
        case .texts(let count): "\(Setting.range(count)) pairs, METAFLOW_NAME: TEXT of at most 8192 bytes"
        case .secret: "{ file: PATH } or { env: NAME }"
        case .either(let text): text
        }
    }

    package var defaultText: String? {
        if case .default(let text) = presence { text } else { nil }
    }

    /// The lines above the setting in the commented configuration files.
    package var comment: [String] {
        let absence = switch presence {
        case .required: "Required."
        case .optional(let meaning): "Optional: without it, \(meaning)."
        case .default(let text): "Default: \(text)."
        }
        let restart = reload == .restart ? " Needs a restart." : ""
        if case .section = kind { return [sentence, absence + restart] }
        return [sentence, "Takes \(allowed). \(absence)\(restart)"]
    }

    static func range(_ range: ClosedRange<Int>) -> String {
        range.lowerBound == range.upperBound ? "\(range.lowerBound)" : "\(range.lowerBound)…\(range.upperBound)"
    }
}

extension Setting.Form {
    /// In words that follow "takes" or "is not".
    package var allowed: String {
        switch self {
        case .bytes(let range): "\(range.lowerBound)…\(range.upperBound)"
        case .count(let range, let word): Setting.range(range) + Self.or(word)
        case .duration(let range, let word): "\(DurationText.print(range.lowerBound))…\(DurationText.print(range.upperBound))" + Self.or(word)
        case .boolean: "true or false"
        case .word(let words): words.joined(separator: " | ")
        case .text(let limit): "text of at most \(limit) bytes"
        case .name: "a name of letters, digits, '-', '_' and '.', at most 64 bytes"
        case .token: "printable ASCII without spaces, at most 256 bytes"
        case .socketAddress(let word): "an IP address and a port, 127.0.0.1:8443 or [::]:8443" + Self.or(word)
        case .hostname: "a host name such as alpha.example.com, without port"
        case .url: "an https address without query, or plain http on loopback"
        case .publicURL: "https:// and the stage's host, with a port if it is not 443, without a path"
        case .issuer: "an https address as the provider spells it in iss, or plain http on loopback"
        case .file: "the path of a file, relative to this one"
        case .logDestination: "stdout, or the path of a file, relative to this one"
        case .addressRange: "an address range, 10.0.0.0/8 or 2001:db8::/32"
        case .method: "GET | HEAD | POST | PUT | PATCH | DELETE | OPTIONS"
        case .fieldName: "a field name of letters, digits and hyphens"
        case .routePath: "a path in canonical form without trailing slash, /api/metadata"
        case .healthPath: "a path in canonical form, /ping"
        case .endpoint: "http://HOST:PORT or https://HOST:PORT"
        case .region: "an AWS region, us-west-2"
        case .userPool: "a user pool id, REGION_Name"
        case .identityPool: "an identity pool id, REGION:UUID"
        case .version: "one to six whole numbers with dots between them, 1.0.0"
        case .status: "200…299 or 400…599"
        case .redirectTarget: "a path in canonical form or an https address"
        }
    }

    private static func or(_ word: String?) -> String { word.map { " or \($0)" } ?? "" }
}
