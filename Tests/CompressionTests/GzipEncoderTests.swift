import CZlib
import Compression
import Testing

@Suite("gzip encoder")
struct GzipEncoderTests {
    /// Encodes pieces with the flush that follows each, through a room of `roomSize` bytes.
    private func encode(_ pieces: [([UInt8], GzipEncoder.Flush)], by encoder: GzipEncoder, roomSize: Int) throws -> [UInt8] {
        var output: [UInt8] = []
        var room = [UInt8](repeating: 0, count: roomSize)
        for (piece, flush) in pieces {
            var position = 0
            while true {
                let progress = try #require(piece[position...].withUnsafeBytes { input in
                    room.withUnsafeMutableBytes { encoder.encode(input, into: $0, flush) }
                })
                position += progress.consumed
                output += room[..<progress.produced]
                if progress.isComplete { break }
            }
            #expect(position == piece.count)
        }
        return output
    }

    /// What a client makes of it, and whether the end was seen.
    private func decode(_ bytes: [UInt8]) throws -> (body: [UInt8], isWhole: Bool) {
        var stream = z_stream()
        try #require(inflateInit2_(&stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK)
        defer { inflateEnd(&stream) }
        var input = bytes, body: [UInt8] = [], room = [UInt8](repeating: 0, count: 4096), result = Z_OK
        input.withUnsafeMutableBufferPointer { input in
            stream.next_in = input.baseAddress
            stream.avail_in = UInt32(input.count)
            repeat {
                let produced = room.withUnsafeMutableBufferPointer { room in
                    stream.next_out = room.baseAddress
                    stream.avail_out = UInt32(room.count)
                    result = inflate(&stream, Z_SYNC_FLUSH)
                    return room.count - Int(stream.avail_out)
                }
                body += room[..<produced]
                if produced == 0 { break }
            } while result == Z_OK
        }
        return (body, result == Z_STREAM_END)
    }

    private static let page = Array(String(repeating: "<tr><td>HelloFlow</td><td>42</td></tr>\n", count: 3000).utf8)

    @Test("What was encoded is read back, whatever the room and the pieces", arguments: [64, 1000, 65_536], [1, 7, 4096, 200_000])
    func roundTrip(roomSize: Int, pieceSize: Int) throws {
        let encoder = try #require(GzipEncoder(level: 4))
        let body = pieceSize == 1 ? Array(Self.page.prefix(500)) : Self.page
        var pieces = stride(from: 0, to: body.count, by: pieceSize).map { (Array(body[$0..<min(body.count, $0 + pieceSize)]), GzipEncoder.Flush.none) }
        pieces.append(([], .finish))
        let encoded = try encode(pieces, by: encoder, roomSize: roomSize)
        let decoded = try decode(encoded)
        #expect(decoded.body == body)
        #expect(decoded.isWhole)
        if pieceSize > 1 { #expect(encoded.count * 20 < body.count) }
    }

    @Test("After a flush the client can read all that has come", arguments: [64, 65_536])
    func flushes(roomSize: Int) throws {
        let encoder = try #require(GzipEncoder(level: 4))
        var encoded: [UInt8] = []
        for number in 1...20 {
            encoded += try encode([(Array("line \(number)\n".utf8), .sync)], by: encoder, roomSize: roomSize)
            let decoded = try decode(encoded)
            #expect(decoded.body == Array((1...number).map { "line \($0)\n" }.joined().utf8))
            #expect(!decoded.isWhole)
        }
    }

    @Test("A reset forgets the body before, also one that did not end")
    func resets() throws {
        let encoder = try #require(GzipEncoder(level: 9))
        _ = try encode([(Self.page, .none)], by: encoder, roomSize: 4096)
        encoder.reset()
        let encoded = try encode([(Array("other".utf8), .finish)], by: encoder, roomSize: 4096)
        let decoded = try decode(encoded)
        #expect(decoded.body == Array("other".utf8))
        #expect(decoded.isWhole)
    }

    @Test("An empty body is a whole gzip file")
    func empty() throws {
        let encoder = try #require(GzipEncoder(level: 1))
        let decoded = try decode(try encode([([], .finish)], by: encoder, roomSize: 64))
        #expect(decoded.body.isEmpty)
        #expect(decoded.isWhole)
    }
}
