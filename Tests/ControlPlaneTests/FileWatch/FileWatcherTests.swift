import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import ControlPlane

@Suite("Watching files")
struct FileWatcherTests {
    private final class Count: Sendable {
        private let value = Atomic<Int>(0)
        var current: Int { value.load(ordering: .relaxed) }
        func add() { value.wrappingAdd(1, ordering: .relaxed) }
    }

    private func write(_ text: String, to path: String) throws { try Data(text.utf8).write(to: URL(fileURLWithPath: path)) }

    @Test("A changed, a replaced, a removed and a new file are each told once", arguments: ["change", "replace", "remove", "create"])
    func tells(kind: String) async throws {
        let folder = try TemporaryFolder()
        let path = folder.file("a.yaml")
        if kind != "create" { try write("old", to: path) }
        let count = Count()
        let watcher = try FileWatcher(baseline: FileStamps(of: [path]), changed: { count.add() }, complain: { _ in })
        defer { watcher.stop() }
        switch kind {
        case "change", "create": try write("new text", to: path)
        case "replace":
            try write("new text", to: folder.file("b"))
            try #require(rename(folder.file("b"), path) == 0)
        default: try FileManager.default.removeItem(atPath: path)
        }
        #expect(await eventually { count.current == 1 })
    }

    @Test("A change that was taken up meanwhile, and one of a neighbour, are not told")
    func staysQuiet() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file("a.yaml")
        try write("old", to: path)
        let before = FileStamps(of: [path])
        try write("new text", to: path)
        let count = Count()
        let watcher = try FileWatcher(baseline: before.again(), changed: { count.add() }, complain: { _ in })
        defer { watcher.stop() }
        watcher.follow(FileStamps(of: [path]))
        try write("noise", to: folder.file("neighbour"))
        let looks = watcher.lookCount
        try write("noise", to: folder.file("another"))
        #expect(await eventually { watcher.lookCount > looks })
        #expect(count.current == 0)
        try write("newer text", to: path)
        #expect(await eventually { count.current == 1 })
    }

    @Test("A link that is swapped to another folder is told, time after time")
    func swaps() async throws {
        let folder = try TemporaryFolder()
        let manager = FileManager.default
        func publish(_ generation: Int) throws {
            try manager.createDirectory(atPath: folder.file("..\(generation)"), withIntermediateDirectories: false)
            try write("text", to: folder.file("..\(generation)/a.yaml"))
            try manager.createSymbolicLink(atPath: folder.file("..tmp"), withDestinationPath: "..\(generation)")
            try #require(rename(folder.file("..tmp"), folder.file("..data")) == 0)
        }
        try publish(0)
        try manager.createSymbolicLink(atPath: folder.file("a.yaml"), withDestinationPath: "..data/a.yaml")
        let count = Count()
        let watcher = try FileWatcher(baseline: FileStamps(of: [folder.file("a.yaml")]), changed: { count.add() }, complain: { _ in })
        defer { watcher.stop() }
        for generation in 1...3 {
            try publish(generation)
            #expect(await eventually { count.current == generation })
        }
    }
}
