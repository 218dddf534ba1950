internal import Authentication
package import GatewayConfiguration
package import GatewayTerms

/// The configuration that was accepted last, kept in the state directory so that the next start and `check --against running` can be
/// measured by it. It holds the texts of the YAML files, in which no secret can stand.
package struct AcceptedConfiguration: Sendable, Equatable {
    /// Of `gateway.yaml`, as the command line gave it.
    package let path: String
    package let version: String
    package let acceptedAt: WallTime
    package let texts: [ConfigurationText]

    package init(path: String, version: String, acceptedAt: WallTime, texts: [ConfigurationText]) {
        (self.path, self.version, self.acceptedAt, self.texts) = (path, version, acceptedAt, texts)
    }

    package enum Reading: Sendable {
        case none
        case found(AcceptedConfiguration)
        /// With what is wrong, and what to do.
        case unusable(String)
    }

    /// Where it is kept.
    package static func file(in stateDirectory: String) -> String { "\(stateDirectory)/accepted-configuration.json" }

    /// A longer one is not kept.
    static let documentBytesMax = 64 << 20

    /// Reads the model again; what it refers to need not be there.
    package func configuration() -> Result<Configuration, Diagnostics> {
        Configuration.load(path: path, surroundings: .texts(texts)).map(\.configuration)
    }

    // MARK: The file

    package static func read(_ stateDirectory: String, surroundings: Surroundings = .machine) -> Reading {
        let file = file(in: stateDirectory)
        switch surroundings.read(file, documentBytesMax) {
        case .failure(.missing): return .none
        case .failure(let fault): return .unusable("\(file) \(fault)")
        case .success(let bytes):
            guard let accepted = AcceptedConfiguration(document: bytes) else { return .unusable("\(file) is not what this gateway writes there") }
            return .found(accepted)
        }
    }

    /// `nil` when it stands, else why not.
    func write(_ stateDirectory: String) -> String? {
        let bytes = Array(document.utf8)
        guard bytes.count <= Self.documentBytesMax else { return "the configuration is longer than \(Self.documentBytesMax) bytes" }
        do { try StateFile.write(bytes.span, to: Self.file(in: stateDirectory)) } catch { return error.description }
        return nil
    }

    var document: String {
        let files = texts.map { text in
            JSONText.object { object in
                object.member("path", text.path)
                object.member("text", String(decoding: text.bytes, as: UTF8.self))
            }
        }
        return JSONText.object { object in
            object.member("v", 1)
            object.member("version", version)
            object.member("accepted_at", acceptedAt.milliseconds)
            object.member("path", path)
            object.member("files", json: "[" + files.joined(separator: ",") + "]")
        } + "\n"
    }

    init?(document: [UInt8]) {
        let limits = StrictJSON.Limits(bytesMax: Self.documentBytesMax, depthMax: 4, valuesMax: 1000)
        guard let object = (try? StrictJSON.read(document.span, limits: limits))?.object, object["v"]?.integer == 1,
              let version = object["version"]?.string, let time = object["accepted_at"]?.integer, let path = object["path"]?.string,
              let files = object["files"]?.array else { return nil }
        var texts: [ConfigurationText] = []
        for file in files {
            guard let path = file.object?["path"]?.string, let text = file.object?["text"]?.string else { return nil }
            texts.append(ConfigurationText(path: path, bytes: Array(text.utf8)))
        }
        self.init(path: path, version: version, acceptedAt: WallTime(milliseconds: time), texts: texts)
    }
}
