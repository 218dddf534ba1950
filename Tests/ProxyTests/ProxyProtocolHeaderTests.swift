import GatewayTerms
import Proxy
import Testing

@Suite("ProxyProtocolHeader")
struct ProxyProtocolHeaderTests {
    private static let signature: [UInt8] = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]

    private func header(_ versionAndCommand: UInt8, _ family: UInt8, _ body: [UInt8]) -> [UInt8] {
        Self.signature + [versionAndCommand, family, UInt8(body.count >> 8), UInt8(body.count & 255)] + body
    }

    private let ipv4: [UInt8] = [192, 0, 2, 7, 10, 0, 0, 1, 0xd4, 0x31, 0x20, 0xfb]

    @Test("An IPv4 header gives the client's address and port, whatever follows it")
    func readsIPv4() {
        let bytes = header(0x21, 0x11, ipv4)
        guard case .header(let read, let count) = ProxyProtocolHeader.read(bytes + [1, 2, 3]) else {
            Issue.record("not read")
            return
        }
        #expect(read.client == IPAddress("192.0.2.7"))
        #expect(read.clientPort == 0xd431)
        #expect(count == 28)
    }

    @Test("An IPv6 header gives the client's address")
    func readsIPv6() {
        let client: [UInt8] = [0x20, 0x01, 0x0d, 0xb8] + Array(repeating: 0, count: 11) + [5]
        let bytes = header(0x21, 0x21, client + Array(repeating: 0, count: 16) + [0, 80, 1, 187])
        guard case .header(let read, _) = ProxyProtocolHeader.read(bytes) else {
            Issue.record("not read")
            return
        }
        #expect(read.client == IPAddress("2001:db8::5"))
        #expect(read.clientPort == 80)
    }

    @Test("LOCAL and AF_UNSPEC leave the peer to speak for itself", arguments: [(UInt8(0x20), UInt8(0x11)), (0x20, 0x00), (0x21, 0x00)])
    func local(command: UInt8, family: UInt8) {
        let bytes = header(command, family, family == 0 ? [] : ipv4)
        guard case .header(let read, _) = ProxyProtocolHeader.read(bytes) else {
            Issue.record("not read")
            return
        }
        #expect(read.client == nil)
    }

    @Test("The VPC endpoint of an AWS header is read, unknown values are passed over")
    func vpcEndpoint() {
        let name = Array("vpce-08d2bf15fac5001c9".utf8)
        let values: [UInt8] = [0x04, 0, 2, 9, 9] + [0xea, 0, UInt8(name.count + 1), 0x01] + name
        guard case .header(let read, _) = ProxyProtocolHeader.read(header(0x21, 0x11, ipv4 + values)) else {
            Issue.record("not read")
            return
        }
        #expect(read.vpcEndpoint == "vpce-08d2bf15fac5001c9")
    }

    @Test("A right checksum is accepted and a wrong one refused")
    func checksum() {
        var bytes = header(0x21, 0x11, ipv4 + [0x03, 0, 4, 0, 0, 0, 0])
        #expect(ProxyProtocolHeader.read(bytes) == .refused(.checksum))
        var crc = ~UInt32(0)
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82f6_3b78 : crc >> 1 }
        }
        crc = ~crc
        for index in 0..<4 { bytes[bytes.count - 4 + index] = UInt8(truncatingIfNeeded: crc >> UInt32(24 - 8 * index)) }
        guard case .header = ProxyProtocolHeader.read(bytes) else {
            Issue.record("a right checksum was refused")
            return
        }
    }

    @Test("Every cut of a good header asks for more")
    func needsMore() {
        let bytes = header(0x21, 0x11, ipv4)
        for count in 0..<bytes.count { #expect(ProxyProtocolHeader.read(Array(bytes.prefix(count))) == .needsMore) }
    }

    private static func behindSignature(_ bytes: [UInt8]) -> [UInt8] { signature + bytes }

    private static let refused: [([UInt8], ProxyProtocolHeader.Refusal)] = [
        (Array("GET / HTTP/1.1\r\n".utf8), .notVersion2),
        (Array("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n".utf8), .notVersion2),
        ([0x16, 0x03, 0x01], .notVersion2),
        (behindSignature([0x11, 0x11, 0, 12]), .notVersion2),
        (behindSignature([0x22, 0x11, 0, 12]), .badCommand),
        (behindSignature([0x21, 0x41, 0, 0]), .badFamily),
        (behindSignature([0x21, 0x11, 0, 4, 1, 2, 3, 4]), .truncated),
        (behindSignature([0x21, 0x11, 0xff, 0xff]), .tooLong),
        (behindSignature([0x21, 0x11, 0, 14] + [UInt8](repeating: 1, count: 14)), .truncated),
        (behindSignature([0x21, 0x13, 0, 12] + [UInt8](repeating: 1, count: 12)), .badFamily),
    ]

    @Test("What cannot become a version 2 header is refused at once", arguments: refused)
    func refuses(bytes: [UInt8], refusal: ProxyProtocolHeader.Refusal) {
        #expect(ProxyProtocolHeader.read(bytes) == .refused(refusal))
    }

    @Test("No bytes make it trap")
    func neverTraps() {
        var random = SplitMix(state: 3)
        for _ in 0..<20_000 {
            var bytes = Self.signature + (0..<Int(random.next() % 60)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            if bytes.count > 12, random.next() & 1 == 0 { bytes[12] = 0x21 }
            if bytes.count > 14, random.next() & 1 == 0 { bytes[14] = 0 }
            _ = ProxyProtocolHeader.read(bytes)
        }
    }
}
