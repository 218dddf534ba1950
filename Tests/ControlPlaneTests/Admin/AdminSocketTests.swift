import Glibc
import TestSupport
import Testing

@testable import ControlPlane

@Suite("The operators' socket")
struct AdminSocketTests {
    private func mode(_ path: String) -> mode_t? {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
    }

    @Test("Its file is its owner's alone from the start, in a folder that is made for it")
    func isPrivate() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("run/admin.sock")
        let socket = try AdminSocket.listen(at: path)
        defer { close(socket.descriptor) }
        #expect(mode(path) == 0o600)
        #expect(mode(folder.file("run")) == 0o700)
    }

    @Test("A socket whose process is dead is replaced; a live one is not")
    func staleAndLive() throws {
        let path = try TemporaryFolder()
        let file = path.file("admin.sock")
        let first = try AdminSocket.listen(at: file)
        #expect(throws: AdminSocket.Fault.live) { try AdminSocket.listen(at: file) }
        close(first.descriptor)
        let second = try AdminSocket.listen(at: file)
        close(second.descriptor)
    }

    @Test("A file that is no socket stays")
    func notASocket() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("admin.sock")
        close(open(path, O_CREAT | O_WRONLY, 0o644))
        #expect(throws: AdminSocket.Fault.notASocket) { try AdminSocket.listen(at: path) }
        #expect(mode(path) == 0o644)
    }

    @Test("A path of more than 107 bytes is refused", arguments: [107, 108])
    func length(bytes: Int) throws {
        let folder = try TemporaryFolder()
        let real = SocketPath.resolved(folder.file("a")).dropLast(2)
        let path = real + "/" + String(repeating: "a", count: max(1, bytes - real.utf8.count - 1))
        try #require(path.utf8.count == bytes)
        if bytes > 107 {
            #expect(throws: AdminSocket.Fault.pathTooLong(108)) { try AdminSocket.listen(at: path) }
        } else {
            close(try AdminSocket.listen(at: path).descriptor)
        }
    }

    @Test("What makes a path long without leading elsewhere does not count")
    func detours() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + String(repeating: "/../" + (folder.path.split(separator: "/").last ?? ""), count: 4) + "/admin.sock"
        try #require(path.utf8.count > SocketPath.bytesMax)
        let socket = try AdminSocket.listen(at: path)
        #expect(mode(folder.file("admin.sock")) == 0o600)
        socket.remove()
        close(socket.descriptor)
    }

    @Test("Its end takes its own file away and leaves a successor's")
    func removal() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("admin.sock")
        let old = try AdminSocket.listen(at: path)
        // Its successor has taken the path; while the old one is open, no other file gets its inode.
        try #require(unlink(path) == 0)
        let new = try AdminSocket.listen(at: path)
        old.remove()
        #expect(mode(path) == 0o600)
        new.remove()
        #expect(mode(path) == nil)
        close(new.descriptor)
        close(old.descriptor)
    }
}
