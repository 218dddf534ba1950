import Authentication
@testable import ControlPlane
import Foundation
@testable import GatewayConfiguration
import GatewayTerms
import Synchronization
import Testing
import TestSupport

@Suite("The revocation file is followed")
struct RevocationFileTests {
    /// The file in a folder of its own, and what its follower has given on.
    final class Scene: Sendable {
        let folder: TemporaryFolder
        let path: String
        let published = Mutex<[[String]]>([])
        let events = Mutex<[RevocationFile.Event]>([])
        let follower: RevocationFile

        init(_ first: String? = Scene.text(["one"])) throws {
            folder = try TemporaryFolder()
            path = folder.path + "/revocation.json"
            let (publishing, observing) = (Sink<[String]>(), Sink<RevocationFile.Event>())
            follower = RevocationFile(surroundings: .machine, publish: { publishing.take($0.entries.map(\.value)) }, observe: { observing.take($0) })
            publishing.owner.withLock { $0 = { [weak self] value in self?.published.withLock { $0.append(value) } } }
            observing.owner.withLock { $0 = { [weak self] value in self?.events.withLock { $0.append(value) } } }
            if let first { try write(first) }
        }

        var reference: Configuration.FileReference { Configuration.FileReference(path: path, location: SourceLocation(file: "gateway.yaml", line: 7, column: 9)) }
        var last: [String]? { published.withLock { $0.last } }

        func write(_ text: String) throws { try text.write(toFile: path, atomically: true, encoding: .utf8) }
        func follow() throws { follower.follow(reference, try follower.prepare(reference)) }

        static func text(_ tokens: [String]) -> String {
            #"{ "version": 1, "entries": ["# + tokens.map { #"{ "jti": "\#($0)", "until": 4000000000 }"# }.joined(separator: ",") + "] }"
        }
    }

    final class Sink<Value: Sendable>: Sendable {
        let owner = Mutex<(@Sendable (Value) -> Void)?>(nil)
        func take(_ value: Value) { owner.withLock { $0 }?(value) }
    }

    @Test("What it says when it is named is in force at once, and each later version after the next look")
    func followsVersions() throws {
        let scene = try Scene()
        try scene.follow()
        #expect(scene.last == ["one"])
        try scene.write(Scene.text(["one", "two"]))
        scene.follower.look()
        #expect(scene.last == ["one", "two"])
        try scene.write(Scene.text([]))
        scene.follower.look()
        #expect(scene.last == [])
    }

    @Test("Looking at a file that has not changed reads and says nothing")
    func readsOnce() throws {
        let scene = try Scene()
        try scene.follow()
        let before = (scene.published.withLock(\.count), scene.events.withLock(\.count))
        for _ in 0..<20 { scene.follower.look() }
        #expect((scene.published.withLock(\.count), scene.events.withLock(\.count)) == before)
    }

    @Test("A swap of the folder that a link leads to shows, as a ConfigMap is renewed")
    func followsLinks() throws {
        let scene = try Scene(nil)
        let files = FileManager.default
        for (version, token) in [("..1", "one"), ("..2", "two")] {
            try files.createDirectory(atPath: scene.folder.path + "/" + version, withIntermediateDirectories: false)
            try Scene.text([token]).write(toFile: scene.folder.path + "/\(version)/revocation.json", atomically: false, encoding: .utf8)
        }
        try files.createSymbolicLink(atPath: scene.folder.path + "/..data", withDestinationPath: "..1")
        try files.createSymbolicLink(atPath: scene.path, withDestinationPath: "..data/revocation.json")
        try scene.follow()
        #expect(scene.last == ["one"])
        try files.createSymbolicLink(atPath: scene.folder.path + "/..data_tmp", withDestinationPath: "..2")
        #expect(rename(scene.folder.path + "/..data_tmp", scene.folder.path + "/..data") == 0)
        scene.follower.look()
        #expect(scene.last == ["two"])
    }

    @Test("A version that cannot be read leaves the last good one in force, is counted once and says where and why", arguments: [
        ("", "byte 0"), (#"{ "version": 2, "entries": [] }"#, "version: it is 2 and must be 1"),
        (#"{ "version": 1, "entries": [{ "jti": "x", "until": "tomorrow" }] }"#, #"entries[0]: `until` is "tomorrow"; it must be whole seconds"#),
        (#"{ "version": 1, "entries": [{ "jti": "x", "until": 1 }, { "token": "x", "until": 1 }] }"#, "entries[1]: `token` is not known"),
    ])
    func keepsLastGood(text: String, reason: String) throws {
        let scene = try Scene()
        try scene.follow()
        try scene.write(text)
        for _ in 0..<3 { scene.follower.look() }
        #expect(scene.last == ["one"])
        let report = scene.follower.report
        #expect(report.refused == 1 && report.entries == 1)
        let fault = try #require(report.fault)
        #expect(fault.contains(scene.path) && fault.contains(reason), "\(fault)")
        #expect(scene.events.withLock { $0.last } == .refused(path: scene.path, reason: fault))
        try scene.write(Scene.text(["three"]))
        scene.follower.look()
        #expect(scene.last == ["three"] && scene.follower.report.fault == nil)
    }

    @Test("A file that goes leaves the last good version in force")
    func survivesRemoval() throws {
        let scene = try Scene()
        try scene.follow()
        try FileManager.default.removeItem(atPath: scene.path)
        for _ in 0..<3 { scene.follower.look() }
        #expect(scene.last == ["one"] && scene.follower.report.refused == 1)
        try scene.write(Scene.text(["two"]))
        scene.follower.look()
        #expect(scene.last == ["two"])
    }

    @Test("A configuration that names a file that cannot be used is refused at its place; one that names none forgets")
    func judgesConfiguration() throws {
        let scene = try Scene("no JSON")
        do {
            _ = try scene.follower.prepare(scene.reference)
            Issue.record("accepted")
        } catch {
            #expect(error.description.hasPrefix("gateway.yaml:7:9: revocation.file: \(scene.path) at byte 1"), "\(error)")
        }
        try scene.write(Scene.text(["one"]))
        try scene.follow()
        scene.follower.follow(nil, nil)
        #expect(scene.last == [] && scene.follower.report == RevocationFile.Report())
    }

    @Test("A reload that names the same file does not judge it again: its last good version is in force anyway")
    func letsReloadsPass() throws {
        let scene = try Scene()
        try scene.follow()
        try scene.write("broken")
        try scene.follow()
        #expect(scene.last == ["one"])
    }

    @Test("Entries of signing out stay when the file changes, and the file's stay when somebody signs out")
    func joinsBoth() {
        var ended = EndedLogins()
        let now = WallTime(seconds: 1000)
        let own = Revocation.Entry(kind: .tokenID, value: "own", until: WallTime(seconds: 2000))
        let file = Revocation([Revocation.Entry(kind: .subject, value: "file", until: WallTime(seconds: 2000))])
        ended.follow(file, now: now)
        ended.end([own], now: now)
        #expect(Set(ended.revocation.entries.map(\.value)) == ["file", "own"])
        ended.follow(.none, now: now)
        #expect(ended.revocation.entries.map(\.value) == ["own"])
        ended.follow(file, now: WallTime(seconds: 2000))
        #expect(ended.revocation.entries.map(\.value) == ["file"])
    }
}
