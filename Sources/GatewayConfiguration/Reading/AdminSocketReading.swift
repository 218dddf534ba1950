internal import GatewayTerms

extension Configuration {
    /// `admin.socket` of a file, whatever else is wrong with it: commands must find the gateway that runs just when its file has been spoilt.
    ///
    /// - Parameter path: of `gateway.yaml`.
    /// - Returns: the setting or its default; `nil` where the file cannot be read, is no YAML, or says of this setting what cannot be.
    package static func adminSocket(in path: String, surroundings: Surroundings = .machine) -> String? {
        guard case .success(let bytes) = surroundings.read(path, YAMLDocument.bytesMax) else { return nil }
        let (file, reading) = (SourceFile(path: path), Reading(surroundings: surroundings))
        guard let document = YAMLDocument.parse(bytes, file: file, reading: reading),
              let root = Section(document.root, of: document, name: "", path: "", file: file, reading: reading) else { return nil }
        let section = root.section("admin")
        let faultsBefore = reading.faults.count
        let socket = section.pathToMake("socket").value
        return reading.faults.count == faultsBefore && !socket.isEmpty ? socket : nil
    }
}
