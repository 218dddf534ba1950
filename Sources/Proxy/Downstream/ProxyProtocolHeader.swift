package import GatewayTerms

/// The PROXY protocol, version 2 (haproxy's proxy-protocol.txt §2.2; A7): who the client behind a load balancer is.
package struct ProxyProtocolHeader: Equatable, Sendable {
    package enum Reading: Equatable, Sendable {
        case needsMore
        case header(ProxyProtocolHeader, byteCount: Int)
        case refused(Refusal)
    }
    package enum Refusal: String, Error, Sendable {
        case notVersion2 = "proxy_protocol_missing"
        case badCommand = "proxy_protocol_command"
        case badFamily = "proxy_protocol_family"
        case tooLong = "proxy_protocol_too_long"
        case truncated = "proxy_protocol_truncated"
        case checksum = "proxy_protocol_checksum"
    }

    /// `nil` for LOCAL and AF_UNSPEC: the peer speaks for itself, as health checks do.
    package let client: IPAddress?
    package let clientPort: Int
    /// The VPC endpoint that the connection came through (PP2_TYPE_AWS, subtype 1).
    package let vpcEndpoint: String?

    /// Longest header that is read, its addresses and TLVs included.
    package static let byteCountMax = 1024
    private static let signature: [UInt8] = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]

    /// Reads the header at the start of `bytes`; refuses as soon as the bytes cannot become one.
    package static func read(_ bytes: [UInt8]) -> Reading {
        for index in 0..<min(bytes.count, signature.count) where bytes[index] != signature[index] { return .refused(.notVersion2) }
        guard bytes.count >= 16 else { return .needsMore }
        guard bytes[12] >> 4 == 2 else { return .refused(.notVersion2) }
        let command = bytes[12] & 15
        guard command <= 1 else { return .refused(.badCommand) }
        let length = Int(bytes[14]) << 8 | Int(bytes[15])
        guard 16 + length <= byteCountMax else { return .refused(.tooLong) }
        guard bytes.count >= 16 + length else { return .needsMore }
        let family = bytes[13] >> 4, transport = bytes[13] & 15
        let body = bytes[16..<16 + length]
        let addressCount: Int
        switch family {
        case 0: addressCount = 0
        case 1: addressCount = 12
        case 2: addressCount = 36
        case 3: addressCount = 216
        default: return .refused(.badFamily)
        }
        // A LOCAL header's addresses mean nothing (§2.2), so they need not be whole either.
        guard command == 0 || body.count >= addressCount else { return .refused(.truncated) }
        guard command == 0 || transport <= 2 else { return .refused(.badFamily) }
        guard let values = typeLengthValues(body.dropFirst(min(addressCount, body.count))) else { return .refused(.truncated) }
        if let checksum = values.first(where: { $0.type == 0x03 }) {
            guard checksum.value.count == 4, crc32cOfHeader(bytes[..<(16 + length)], checksumAt: checksum.value.startIndex)
                == checksum.value.reduce(UInt32(0), { $0 << 8 | UInt32($1) }) else { return .refused(.checksum) }
        }
        let endpoint = values.first { $0.type == 0xea && $0.value.first == 0x01 && $0.value.dropFirst().allSatisfy { (0x21...0x7e).contains($0) } }
        var client: IPAddress?
        var port = 0
        if command == 1, family == 1 {
            client = IPAddress(ipv4: number(body.prefix(4)))
            port = Int(number(body.dropFirst(8).prefix(2)))
        } else if command == 1, family == 2 {
            func half(_ slice: ArraySlice<UInt8>) -> UInt64 { slice.reduce(0) { $0 << 8 | UInt64($1) } }
            client = IPAddress(ipv6High: half(body.prefix(8)), low: half(body.dropFirst(8).prefix(8)))
            port = Int(number(body.dropFirst(32).prefix(2)))
        }
        let header = ProxyProtocolHeader(client: client, clientPort: port, vpcEndpoint: endpoint.map { String(decoding: $0.value.dropFirst(), as: UTF8.self) })
        return .header(header, byteCount: 16 + length)
    }

    private static func number(_ slice: ArraySlice<UInt8>) -> UInt32 { slice.reduce(0) { $0 << 8 | UInt32($1) } }

    private static func typeLengthValues(_ bytes: ArraySlice<UInt8>) -> [(type: UInt8, value: ArraySlice<UInt8>)]? {
        var values: [(UInt8, ArraySlice<UInt8>)] = []
        var rest = bytes
        while !rest.isEmpty {
            guard rest.count >= 3 else { return nil }
            let length = Int(rest[rest.startIndex + 1]) << 8 | Int(rest[rest.startIndex + 2])
            guard rest.count >= 3 + length else { return nil }
            values.append((rest[rest.startIndex], rest.dropFirst(3).prefix(length)))
            rest = rest.dropFirst(3 + length)
        }
        return values
    }

    /// CRC32C (RFC 4960 appendix B) over the whole header with the checksum's own four bytes as zero.
    private static func crc32cOfHeader(_ bytes: ArraySlice<UInt8>, checksumAt start: Int) -> UInt32 {
        var crc = ~UInt32(0)
        for index in bytes.indices {
            crc ^= (start..<start + 4).contains(index) ? 0 : UInt32(bytes[index])
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82f6_3b78 : crc >> 1 }
        }
        return ~crc
    }
}
