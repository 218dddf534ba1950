import HTTP2
import Testing

@Suite("Responses and flow control")
struct ResponseTests {
    @Test("The greeting says our limits, and opens the connection's window to 1 MiB")
    func greeting() throws {
        let server = try Server(greets: false)
        let frames = server.sent()
        let settings = frames.first { $0.kind == .settings && !$0.flags.contains(.acknowledgement) }
        let pairs = (0..<(settings?.payload.count ?? 0) / 6).map { index in
            [UInt32(settings?.payload[index * 6 + 1] ?? 0), settings?.number(at: index * 6 + 2) ?? 0]
        }
        #expect(frames.first?.kind == .settings)
        #expect(pairs == [[3, 100], [4, 65_536], [6, 65_536], [9, 1]])
        #expect(frames.contains(.windowUpdate(0, 1_048_576 - 65_535)))
    }

    @Test("SETTINGS and PING are acknowledged")
    func acknowledged() throws {
        let server = try Server()
        server.receive([.settings([(4, 100_000)]), .ping([1, 2, 3, 4, 5, 6, 7, 8])])
        let frames = server.sent()
        #expect(frames.contains(.settingsAcknowledgement))
        #expect(frames.contains(Frame(.ping, .acknowledgement, [1, 2, 3, 4, 5, 6, 7, 8])))
    }

    @Test("A head and a body leave as one HEADERS and one DATA that ends the stream; names in small letters")
    func response() throws {
        let server = try Server()
        server.receive([.get(1)])
        server.respond(1, [("Content-Type", "text/plain"), ("Set-Cookie", "a=1")], body: Array("hello".utf8))
        let frames = server.sent()
        #expect(frames.map(\.kind) == [.headers, .data])
        #expect(server.decode(frames[0]) == [":status: 200", "content-type: text/plain", "set-cookie: a=1"])
        #expect(frames[1].payload == Array("hello".utf8))
        #expect(frames[1].flags == .endStream)
        #expect(server.events().last == .streamClosed(stream: 1, code: 0))
        #expect(server.streamCount == 0)
    }

    @Test("A head without a body ends the stream by itself", arguments: [200, 204, 304, 404])
    func headOnly(status: Int) throws {
        let server = try Server()
        server.receive([.headers(1, HeaderBlock.request(method: "HEAD"))])
        server.respond(1, status: status, [("content-length", "5")])
        let frames = server.sent()
        #expect(frames.map(\.kind) == [.headers])
        #expect(frames[0].flags == [.endHeaders, .endStream])
        #expect(server.decode(frames[0]).first == ":status: \(status)")
    }

    @Test("Informational heads go before the final one")
    func informational() throws {
        let server = try Server()
        server.receive([.post(1)])
        var head = HeadFields()
        head.begin(status: 103)
        head.append(name: Array("link".utf8).span, value: Array("</a>".utf8).span)
        server.session.submitInformational(1, head)
        server.respond(1, status: 200)
        let frames = server.sent()
        #expect(frames.map { server.decode($0) } == [[":status: 103", "link: </a>"], [":status: 200"]])
        #expect(!frames[0].flags.contains(.endStream))
    }

    @Test("Trailers end the stream behind the body", arguments: [0, 5, 40_000])
    func trailers(count: Int) throws {
        let server = try Server()
        server.receive([.get(1)])
        server.respond(1, body: Array(repeating: 1, count: count), trailers: [("grpc-status", "0")])
        let frames = server.sent()
        #expect(frames.dataCount(1) == count)
        #expect(frames.filter { $0.kind == .data }.allSatisfy { !$0.flags.contains(.endStream) })
        #expect(frames.last?.kind == .headers)
        #expect(frames.last?.flags == [.endHeaders, .endStream])
        _ = server.decode(frames[0])
        #expect(frames.last.map { server.decode($0) } == ["grpc-status: 0"])
    }

    @Test("A body that comes in pieces leaves in pieces, and waits in between")
    func streaming() throws {
        let server = try Server()
        server.receive([.get(1)])
        server.respond(1, body: [1], endsStream: false)
        #expect(server.sent().dataCount(1) == 1)
        #expect(!server.wantsToSend)
        server.session.submitData(1, [UInt8](repeating: 2, count: 3).span)
        #expect(server.sent().dataCount(1) == 3)
        server.session.endStream(1)
        let frames = server.sent()
        #expect(frames.map(\.flags) == [.endStream])
        #expect(frames[0].payload.isEmpty)
    }

    @Test("A stream whose window is shut holds what it has, and the others go on (§5.2)")
    func slowStream() throws {
        let server = try Server(greets: false)
        server.receive(Frame.preface + Frame.settings([(4, 1_000)]).bytes + Frame.windowUpdate(0, 10_000_000).bytes)
        server.receive([.get(1), .get(3)])
        _ = server.sent()
        server.respond(1, body: Array(repeating: 1, count: 100_000))
        server.respond(3, body: Array(repeating: 3, count: 900))
        let frames = server.sent()
        #expect(frames.dataCount(1) == 1_000)
        #expect(frames.dataCount(3) == 900)
        #expect(server.pendingCount(1) == 99_000)
        #expect(server.isFull(1))
        #expect(server.events().contains(.streamClosed(stream: 3, code: 0)))
        server.receive([.windowUpdate(1, 86_000)])
        #expect(server.sent().dataCount(1) == 86_000)
        #expect(!server.events().contains(.drained(stream: 1)))
        server.receive([.windowUpdate(1, 1_000)])
        _ = server.sent()
        #expect(server.events().contains(.drained(stream: 1)))
        server.receive([.windowUpdate(1, 40_000)])
        #expect(server.sent().last?.flags == .endStream)
        #expect(server.events().last == .streamClosed(stream: 1, code: 0))
    }

    @Test("Many slow streams together hold less than each could alone")
    func manySlowStreams() throws {
        let server = try Server(greets: false)
        server.receive(Frame.preface + Frame.settings([(4, 0)]).bytes)
        server.receive((0..<50).map { .get($0 * 2 + 1) })
        _ = server.sent()
        let piece = [UInt8](repeating: 1, count: 8_000)
        var total = 0
        for number in 0..<50 {
            let stream = Int32(number * 2 + 1)
            server.respond(stream, body: [], endsStream: false)
            while !server.isFull(stream) {
                server.session.submitData(stream, piece.span)
                total += piece.count
            }
        }
        #expect(total < ServerSession.pendingTotalMax + 50 * (ServerSession.pendingFloor + piece.count))
        #expect((0..<50).allSatisfy { server.pendingCount($0 * 2 + 1) >= ServerSession.pendingFloor })
    }

    @Test("A smaller window in later SETTINGS holds a stream back until it is positive again (§6.9.2)")
    func shrunkWindow() throws {
        let server = try Server()
        server.receive([.get(1)])
        server.respond(1, body: Array(repeating: 1, count: 60_000))
        #expect(server.sent().dataCount(1) == 60_000)
        server.receive([.get(3), .settings([(4, 10)])])
        server.respond(3, body: Array(repeating: 1, count: 20))
        #expect(server.sent().dataCount(3) == 5_535 - 5_535 + 10)
        server.receive([.settings([(4, 65_535)])])
        #expect(server.sent().dataCount(3) == 10)
    }

    @Test("The connection's window holds all streams back together (§6.9.1)")
    func connectionWindow() throws {
        let server = try Server()
        server.receive([.settings([(4, 1_000_000)]), .get(1), .get(3)])
        server.respond(1, body: Array(repeating: 1, count: 60_000))
        server.respond(3, body: Array(repeating: 1, count: 60_000))
        let frames = server.sent()
        #expect(frames.dataCount(1) + frames.dataCount(3) == 65_535)
        server.receive([.windowUpdate(0, 100_000)])
        let rest = server.sent()
        #expect(rest.dataCount(1) + rest.dataCount(3) == 120_000 - 65_535)
    }

    @Test("The client gets a window back only for what was consumed (§6.9)")
    func consume() throws {
        let server = try Server()
        server.receive([.post(1)] + (0..<4).map { _ in .data(1, Array(repeating: 1, count: 16_000)) })
        #expect(server.sent().filter { $0.kind == .windowUpdate }.isEmpty)
        server.session.consume(1, 20_000)
        server.session.consume(1, 20_000)
        #expect(server.sent().filter { $0.kind == .windowUpdate && $0.stream == 1 }.reduce(0) { $0 + $1.number() } == 40_000)
        // More than came is not given back.
        server.session.consume(1, 100_000)
        #expect(server.sent().filter { $0.kind == .windowUpdate && $0.stream == 1 }.reduce(0) { $0 + $1.number() } <= 24_000)
    }

    @Test("A client that sends more than the window is cut off", arguments: [false, true])
    func overflow(isConnection: Bool) throws {
        let server = try Server()
        let streams: [UInt32] = isConnection ? (0..<18).map { $0 * 2 + 1 } : [1]
        server.receive(streams.map { Frame.post($0) })
        for stream in streams { server.receive((0..<4).map { _ in .data(stream, Array(repeating: 1, count: 16_000)) }) }
        server.receive([.data(streams[0], Array(repeating: 1, count: 1_537))])
        let frames = server.sent()
        #expect(frames.goAwayCode == .flowControlError || frames.resetCode(1) == .flowControlError)
    }

    @Test("A stream that closes gives its share of the connection's window back")
    func leftUnconsumed() throws {
        let server = try Server()
        var returned: UInt32 = 0
        for number in 0..<40 {
            let stream = UInt32(number * 2 + 1)
            server.now += 1_000_000_000
            server.receive([.post(stream)] + (0..<4).map { _ in .data(stream, Array(repeating: 1, count: 16_000)) } + [.reset(stream)])
            let frames = server.sent()
            #expect(frames.goAwayCode == nil)
            returned += frames.filter { $0.kind == .windowUpdate && $0.stream == 0 }.reduce(0) { $0 + $1.number() }
        }
        #expect(returned > 40 * 64_000 - 1_048_576)
    }

    @Test("An early answer resets the stream behind its own end, so that the client stops sending (§8.1)")
    func earlyAnswer() throws {
        let server = try Server()
        server.receive([.post(1)])
        server.respond(1, status: 413, body: Array("no".utf8))
        server.session.resetAfterEnd(1)
        let frames = server.sent()
        #expect(frames.map(\.kind) == [.headers, .data, .resetStream])
        #expect(frames.last?.number() == 0)
        #expect(server.events().last == .streamClosed(stream: 1, code: 0))
    }

    @Test("A reset drops what was waiting")
    func reset() throws {
        let server = try Server()
        server.receive([.get(1)])
        server.respond(1, body: Array(repeating: 1, count: 100), endsStream: false)
        server.session.reset(1, .internalError)
        let frames = server.sent()
        #expect(frames.resetCode(1) == .internalError)
        #expect(frames.dataCount(1) == 0)
        #expect(server.events().last == .streamClosed(stream: 1, code: 2))
    }

    @Test("Actions on a stream that is gone do nothing")
    func gone() throws {
        let server = try Server()
        server.receive([.post(1), .reset(1)])
        _ = server.sent()
        server.respond(1, body: [1])
        server.session.consume(1, 5)
        server.session.reset(1, .cancel)
        server.session.resetAfterEnd(1)
        server.session.endStream(1)
        #expect(server.sent().isEmpty)
    }

    @Test("A head that no frame can carry resets its stream")
    func hugeHead() throws {
        let server = try Server()
        server.receive([.get(1)])
        server.respond(1, [("x", String(repeating: "\u{1}", count: 600_000))])
        let frames = server.sent()
        #expect(frames.resetCode(1) == .internalError)
        #expect(frames.goAwayCode == nil)
    }

    @Test("Draining announces the end, serves what still comes, and ends with the last stream (§6.8)")
    func drain() throws {
        let server = try Server()
        server.receive([.get(1)])
        server.session.announceGoAway()
        let announcement = server.sent().filter { $0.kind == .goAway }
        #expect(announcement.map { $0.number() } == [0x7FFF_FFFF])
        server.receive([.get(3)])
        server.session.goAway()
        let final = server.sent().filter { $0.kind == .goAway }
        #expect(final.map { $0.number() } == [3])
        #expect(final.map { $0.number(at: 4) } == [0])
        #expect(!server.isFinished)
        server.receive([.get(5)])
        #expect(server.heads().count == 2)
        server.respond(1)
        server.respond(3, body: [1])
        _ = server.sent()
        #expect(server.isFinished)
    }

    @Test("Our PING is told of when it is answered")
    func ping() throws {
        let server = try Server()
        server.session.ping()
        #expect(server.sent().map(\.kind) == [.ping])
        server.receive([Frame(.ping, .acknowledgement, Array(repeating: 0, count: 8))])
        #expect(server.events() == [.pingAcknowledged])
    }

    @Test("The client's GOAWAY is told of, streams under way go on, and the connection ends with the last")
    func clientGoAway() throws {
        let server = try Server()
        server.receive([.get(1), Frame(.goAway, Frame.number(0) + Frame.number(0))])
        #expect(server.events().last == .goAway(code: 0))
        #expect(!server.isFinished)
        server.respond(1, body: [1])
        #expect(server.sent().dataCount(1) == 1)
        #expect(server.isFinished)
    }

    @Test("Little room to send cuts no frame")
    func littleRoom() throws {
        let whole = try Server()
        let little = try Server()
        for server in [whole, little] {
            server.receive([.get(1), .ping()])
            server.respond(1, [("x", String(repeating: "a", count: 3_000))], body: Array(repeating: 7, count: 40_000), trailers: [("t", "u")])
        }
        #expect(little.sentBytes(room: ServerSession.sendRoomMin) == whole.sentBytes(room: 200_000))
    }
}
