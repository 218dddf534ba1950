import Foundation
import GatewayConfiguration
import Testing

/// Files of the machine itself.
@Suite struct SurroundingsTests {
    private static func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "gateway-configuration-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder.path)
    }

    @Test("A file is read whole up to the limit, and refused beyond it", arguments: [0, 1, 65_535, 65_536, 65_537, 200_000])
    func readsFiles(count: Int) throws {
        try Self.withFolder { folder in
            let path = folder + "/file", bytes = [UInt8](repeating: 7, count: count)
            try Data(bytes).write(to: URL(filePath: path))
            #expect(Surroundings.machine.read(path, count) == .success(bytes))
            #expect(Surroundings.machine.read(path, count + 1) == .success(bytes))
            if count > 0 { #expect(Surroundings.machine.read(path, count - 1) == .failure(.tooLarge(limit: count - 1))) }
            #expect(Surroundings.machine.fault(path) == nil)
        }
    }

    @Test("What is no file is refused and never waited for")
    func refusesOthers() throws {
        try Self.withFolder { folder in
            #expect(Surroundings.machine.read(folder, 10) == .failure(.notAFile))
            #expect(Surroundings.machine.fault(folder) == .notAFile)
            #expect(Surroundings.machine.read(folder + "/missing", 10) == .failure(.missing))
            #expect(Surroundings.machine.fault(folder + "/missing/below") == .missing)
            #expect(Surroundings.machine.fault("/dev/null") == .notAFile)
            #expect(mkfifo(folder + "/fifo", 0o600) == 0)
            #expect(Surroundings.machine.read(folder + "/fifo", 10) == .failure(.notAFile))
        }
    }

    @Test("A variable that is not set is nothing")
    func readsEnvironment() {
        #expect(Surroundings.machine.environment("METAFLOW_GATEWAY_NO_SUCH_VARIABLE") == nil)
        #expect(Surroundings.machine.environment("PATH") != nil)
    }
}
