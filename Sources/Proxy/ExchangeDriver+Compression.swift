internal import GatewayTerms
internal import HTTPWire
internal import NIOCore

/// The response's body on its way through gzip; ``CompressionRule`` decides whether.
extension ExchangeDriver {
    func chooseCoding(_ response: borrowing ResponseHead, _ responseBytes: ByteBuffer) -> ContentCoding {
        guard let compression = snapshot.compression, destination?.route.compresses == true else { return .untouched }
        let bytes = bytes
        let coding = CompressionRule.coding(head, bytes.readableBytesUInt8Span, response, responseBytes.readableBytesUInt8Span, bytesMin: compression.bytesMin)
        guard coding == .gzip, head.method != .head else { return coding }
        compressor = worker.compressors.take(level: compression.level, max: compression.streamsPerLoopMax)
        return compressor == nil ? .varies : .gzip
    }

    /// A document of the gateway's own on its way to the client. Refusals and the pages of a login are short and leave as they are: none of
    /// them shall cost more than what it refuses.
    func compressed(_ document: LocalAnswer) -> LocalAnswer {
        guard let compression = snapshot.compression, destination?.route.compresses == true else { return document }
        let bytes = bytes
        let coding = CompressionRule.coding(head, bytes.readableBytesUInt8Span, document, bytesMin: compression.bytesMin)
        var answer = document
        if coding == .gzip || coding == .varies { answer.fields.append(LocalAnswer.Field("vary", "accept-encoding")) }
        if coding == .revalidated { answer.weakenTag() }
        guard coding == .gzip, let compressor = worker.compressors.take(level: compression.level, max: compression.streamsPerLoopMax) else { return answer }
        defer { worker.compressors.giveBack(compressor) }
        guard compressor.encode(ByteBuffer(bytes: document.body)), compressor.finish() else { return answer }
        answer.body = Array(buffer: compressor.output)
        answer.fields.append(LocalAnswer.Field("content-encoding", "gzip"))
        answer.weakenTag()
        return answer
    }

    func compress(_ data: ByteBuffer) {
        guard let compressor else { return }
        guard compressor.encode(data) else { return compressionFailed() }
        if compressor.output.readableBytes >= Self.pieceBytes { writeCompressed(compressor) }
    }

    /// One read of the upstream's has been handed on: nothing of it waits for more, as a long poll's answer would.
    func flushCompressor() {
        guard let compressor else { return }
        guard compressor.flush() else { return compressionFailed() }
        writeCompressed(compressor)
    }

    /// The body has come whole. False when it cannot be ended: the connection is cut then.
    func finishCompressor() -> Bool {
        guard let compressor else { return true }
        guard compressor.finish() else {
            compressionFailed()
            return false
        }
        writeCompressed(compressor)
        return true
    }

    /// The exchange is over, however it ended.
    func releaseCompressor() {
        guard let compressor else { return }
        self.compressor = nil
        worker.compressors.giveBack(compressor)
    }

    private func writeCompressed(_ compressor: ResponseCompressor) {
        let count = compressor.output.readableBytes
        guard count > 0, let connection else { return }
        record.bytesOut += count
        connection.writeChunk(compressor.output)
        compressor.outputIsWritten()
    }

    private func compressionFailed() { abort(.gateway("zlib refused a body")) }

    /// Output is handed on in pieces of about this size while one read is worked through.
    private static let pieceBytes = 16 * 1024
}
