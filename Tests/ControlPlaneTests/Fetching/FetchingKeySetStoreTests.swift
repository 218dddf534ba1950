import ControlPlane
import Foundation
import GatewayTerms
import TestSupport
import Testing

private let issuer = "https://cognito-idp.us-west-2.amazonaws.com/us-west-2_Example1"

@Suite("The key set store")
struct FetchingKeySetStoreTests {
    @Test("gives back the bytes and the time that it was given", arguments: [
        [], Array(#"{"keys":[]}"#.utf8), Array("}\n{}\n".utf8), [0, 255, 10, 125],
    ] as [[UInt8]])
    func roundTrip(document: [UInt8]) throws {
        let folder = try TemporaryFolder()
        let store = KeySetStore(folder: folder.file("key-sets"))
        for moment in [WallTime(milliseconds: 0), WallTime(milliseconds: 1_795_002_573_007)] {
            try store.write(document, issuer: issuer, fetchedAt: moment)
            #expect(try store.read(issuer: issuer, documentBytesMax: 1000) == KeySetStore.Copy(document: document, fetchedAt: moment))
        }
    }

    @Test("names the file by the issuer's SHA-256, keeps it to its owner, and leaves no draft behind")
    func file() throws {
        let folder = try TemporaryFolder()
        let store = KeySetStore(folder: folder.file("key-sets"))
        try store.write(Array("{}".utf8), issuer: "abc", fetchedAt: WallTime(milliseconds: 5))
        let name = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.json"
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("key-sets")) == [name])
        let path = folder.file("key-sets/\(name)")
        #expect(store.path(of: "abc") == path)
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
        #expect(try FileManager.default.attributesOfItem(atPath: folder.file("key-sets"))[.posixPermissions] as? Int == 0o700)
        #expect(FileManager.default.contents(atPath: path) == Data("{\"v\":1,\"issuer\":\"abc\",\"fetched_at\":5}\n{}".utf8))
    }

    @Test("has nothing where nothing was written")
    func absent() throws {
        let folder = try TemporaryFolder()
        #expect(try KeySetStore(folder: folder.file("key-sets")).read(issuer: issuer, documentBytesMax: 1000) == nil)
    }

    @Test("does not use a file that is not a copy of this issuer's set", arguments: [
        "", "{}", #"{"v":1,"issuer":"other","fetched_at":5}"# + "\n{}", #"{"v":1,"issuer":"ISSUER","fetched_at":}"# + "\n{}",
        #"{"v":1,"issuer":"ISSUER","fetched_at":-5}"# + "\n{}", #"{"v":1,"issuer":"ISSUER","fetched_at":5}{}"#, #"{"v":1,"issuer":"ISSUER","fetched_at":5"#,
        #"{"v":1,"issuer":"ISSUER","fetched_at":99999999999999999999}"# + "\n{}", #"{"v":2,"issuer":"ISSUER","fetched_at":5}"# + "\n{}",
        #"{"v":1,"issuer":"ISSUER","fetched_at":5}"# + "\n" + String(repeating: "x", count: 2000),
    ])
    func foreign(content: String) throws {
        let folder = try TemporaryFolder()
        let store = KeySetStore(folder: folder.path)
        let text = content.replacingOccurrences(of: "ISSUER", with: issuer)
        try #require(FileManager.default.createFile(atPath: store.path(of: issuer), contents: Data(text.utf8), attributes: [.posixPermissions: 0o600]))
        #expect(throws: StateFile.Fault.self) { try store.read(issuer: issuer, documentBytesMax: 1000) }
    }

    @Test("does not follow a link, nor use a file that others may write, nor a folder", arguments: ["link", "writable", "folder", "fifo"])
    func untrusted(kind: String) throws {
        let folder = try TemporaryFolder()
        let store = KeySetStore(folder: folder.path)
        let path = store.path(of: issuer)
        try store.write(Array("{}".utf8), issuer: issuer, fetchedAt: WallTime(milliseconds: 5))
        switch kind {
        case "link":
            try FileManager.default.moveItem(atPath: path, toPath: folder.file("elsewhere"))
            try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: folder.file("elsewhere"))
        case "writable":
            chmod(path, 0o666)
        case "folder":
            unlink(path)
            mkdir(path, 0o700)
        default:
            unlink(path)
            mkfifo(path, 0o600)
        }
        #expect(throws: StateFile.Fault.self) { try store.read(issuer: issuer, documentBytesMax: 1000) }
    }

    @Test("says what keeps it from writing, and keeps the former copy", arguments: ["no parent", "no folder", "folder at the name"])
    func cannotWrite(kind: String) throws {
        let folder = try TemporaryFolder()
        let place: String
        switch kind {
        case "no parent": place = folder.file("absent/key-sets")
        case "no folder":
            place = folder.file("key-sets")
            try #require(FileManager.default.createFile(atPath: place, contents: nil))
        default:
            place = folder.path
            mkdir(KeySetStore(folder: place).path(of: issuer), 0o700)
        }
        let store = KeySetStore(folder: place)
        #expect(throws: StateFile.Fault.self) { try store.write(Array("{}".utf8), issuer: issuer, fetchedAt: WallTime(milliseconds: 5)) }
        if kind == "folder at the name" {
            #expect(try FileManager.default.contentsOfDirectory(atPath: place).count == 1)
        }
    }
}
