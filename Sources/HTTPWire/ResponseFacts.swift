internal import GatewayTerms

/// What the fields of one response say about its end and its connection, gathered line by line.
struct ResponseFacts: Sendable {
    private var length: UInt64?
    private var isChunked = false
    private var hasConnection = false
    private var upgrade: Slice?

    /// - Returns: `false` for a line that only repeats another one.
    @inline(__always)
    mutating func note(_ line: FieldLine, of bytes: Span<UInt8>, version: HTTPVersion) throws(ResponseError) -> Bool {
        switch line.field {
        case .contentLength:
            guard !isChunked else { throw .framingAmbiguous }
            guard let value = contentLength(bytes, line.value) else { throw .contentLengthInvalid }
            if let length {
                guard length == value else { throw .contentLengthConflict }
                return false
            }
            length = value
        case .transferEncoding:
            guard length == nil else { throw .framingAmbiguous }
            guard !isChunked, version == .http11, bytes.spells("chunked", in: line.value.range) else { throw .transferEncodingInvalid }
            isChunked = true
        case .connection:
            hasConnection = true
        case .upgrade:
            if upgrade == nil { upgrade = line.value }
        default:
            break
        }
        return true
    }

    mutating func conclude(_ bytes: Span<UInt8>, _ requestMethod: Method, into head: inout ResponseHead) throws(ResponseError) {
        var options = ConnectionOptions()
        if hasConnection { try readConnection(bytes, &options, into: &head) }
        head.keepsAlive = head.version == .http11 && !options.close
        head.contentLength = length
        let hasNoBody = head.status < 200 || head.status == 204 || head.status == 304 || requestMethod == .head
        if hasNoBody {
            head.framing = .none
            // A body that the status forbids may follow all the same: its bytes must not become the next response.
            if head.status < 200 || head.status == 204, isChunked || (length ?? 0) > 0 { head.keepsAlive = false }
        } else if isChunked {
            head.framing = .chunked
        } else if let length {
            head.framing = .length(length)
        } else {
            head.framing = .untilClose
            head.keepsAlive = false
        }
        if head.status == 101 {
            guard let upgrade, options.upgrade, head.version == .http11 else { throw .upgradeInvalid }
            guard case .otherProtocol = UpgradeRequest(upgrade, of: bytes) else { throw .upgradeInvalid }
            head.upgrade = upgrade
            head.keepsAlive = false
        }
    }

    private func readConnection(_ bytes: Span<UInt8>, _ options: inout ConnectionOptions, into head: inout ResponseHead) throws(ResponseError) {
        for index in head.fields.indices {
            guard case .connection = head.fields[index].field else { continue }
            let value = head.fields[index].value
            do {
                try options.read(value, of: bytes, marking: &head.fields, countMax: RequestLimits.connectionOptionsMax, toleratesProtected: true)
            } catch {
                throw .connectionInvalid
            }
        }
    }
}
