import ControlPlane
import Glibc
import TestSupport
import Testing

@Suite("Sockets from elsewhere")
struct SocketPassingTests {
    @Test("are told apart by their purpose, which can be read again", arguments: [
        SocketPurpose(.listener, "[::]:8443"), SocketPurpose(.health, "0.0.0.0:8086"), SocketPurpose(.metrics, "127.0.0.1:9090"), SocketPurpose(.admin, "/run/a b/admin.sock"),
    ])
    func writesPurposes(purpose: SocketPurpose) { #expect(SocketPurpose(purpose.description) == purpose) }

    @Test("of an unknown purpose are not taken", arguments: ["", "listener", "listener ", " [::]:8443", "Listener [::]:8443", "telnet [::]:23"])
    func refusesPurposes(text: String) { #expect(SocketPurpose(text) == nil) }

    @Test("are the service manager's only when they are meant for this process", arguments: [
        (["LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "listener-0:health"], [3: "listener-0", 4: "health"]),
        (["LISTEN_PID": "7", "LISTEN_FDS": "2"], [3: "", 4: ""]),
        (["LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "health"], [3: "health", 4: ""]),
        (["LISTEN_PID": "8", "LISTEN_FDS": "2"], [:]), (["LISTEN_FDS": "2"], [:]), (["LISTEN_PID": "7"], [:]),
        (["LISTEN_PID": "7", "LISTEN_FDS": "0"], [:]), (["LISTEN_PID": "7", "LISTEN_FDS": "-1"], [:]), (["LISTEN_PID": "7", "LISTEN_FDS": "many"], [:]),
    ])
    func readsEnvironment(environment: [String: String], expected: [Int32: String]) {
        let passed = SocketActivation.passed(pid: 7) { environment[$0] }
        #expect(Dictionary(passed.map { ($0.descriptor, $0.name) }, uniquingKeysWith: { first, _ in first }) == expected)
    }

    @Test("of which more are announced than there can be are cut off")
    func limits() {
        let environment = ["LISTEN_PID": "7", "LISTEN_FDS": "\(Int.max)"]
        #expect(SocketActivation.passed(pid: 7) { environment[$0] }.count == SocketActivation.countMax)
    }

    @Test("go to the setting that they name, or else to the one with their address", arguments: [
        ("listener-0", "[::]:9000", "listener [::]:8443"), ("listener-1", "[::]:9000", "listener [::]:8080"), ("health", "[::]:9000", "health [::]:8086"),
        ("", "[::]:8080", "listener [::]:8080"), ("metaflow-gateway.socket", "[::]:8086", "health [::]:8086"),
        ("listener-2", "[::]:9000", nil), ("listener-x", "[::]:8443", nil), ("metrics", "[::]:9000", nil), ("", "[::]:9000", nil),
    ])
    func finds(name: String, bound: String, expected: String?) {
        let wanted = [SocketPurpose(.listener, "[::]:8443"), SocketPurpose(.listener, "[::]:8080"), SocketPurpose(.health, "[::]:8086")]
        #expect(SocketActivation.purpose(name: name, bound: bound, wanted: wanted)?.description == expected)
    }

    @Test("travel with a text, one a message, and the other end has them")
    func travels() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("s")
        let listening = try MessageSocket.listen(at: path)
        let client = try MessageSocket.connect(to: path)
        let server = try #require(listening.accept())
        var pipe: [Int32] = [0, 0]
        #expect(Glibc.pipe(&pipe) == 0)
        try server.send("socket health [::]:8086", passing: pipe[1])
        try server.send("end")
        close(pipe[1])
        let first = try client.receive(), second = try client.receive()
        #expect(first.text == "socket health [::]:8086")
        #expect((second.text, second.descriptor) == ("end", -1))
        #expect(write(first.descriptor, "x", 1) == 1)
        var byte: UInt8 = 0
        #expect(read(pipe[0], &byte, 1) == 1)
        #expect(byte == UInt8(ascii: "x"))
        close(first.descriptor)
        close(pipe[0])
    }

    @Test("do not come from who has left")
    func ends() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("s")
        let listening = try MessageSocket.listen(at: path)
        do {
            _ = try MessageSocket.connect(to: path)
        }
        let server = try #require(listening.accept())
        #expect(throws: MessageSocket.Fault.self) { try server.receive() }
    }

    @Test("cannot be asked for by a path that is too long")
    func limitsPath() {
        #expect(throws: MessageSocket.Fault.self) { try MessageSocket.listen(at: "/tmp/" + String(repeating: "x", count: SocketPath.bytesMax)) }
    }

    @Test("What the service manager hears is one line each", arguments: [
        (ServiceNotification.State.ready("serving\nREADY=0"), "READY=1\nSTATUS=serving READY=0"),
        (.reloading(microseconds: 12), "RELOADING=1\nMONOTONIC_USEC=12\nSTATUS=reading the configuration"),
        (.stopping("draining"), "STOPPING=1\nSTATUS=draining"), (.status("well"), "STATUS=well"), (.mainProcess(42), "MAINPID=42"),
    ])
    func notifies(state: ServiceNotification.State, expected: String) { #expect(state.text == expected) }
}
