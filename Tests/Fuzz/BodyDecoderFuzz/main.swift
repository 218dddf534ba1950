// Any bytes as a body. Built with -sanitize=fuzzer; see Package.swift for the switch.
import HTTPWire

/// A broken invariant ends the run, and the fuzzer keeps the input.
func require(_ condition: Bool, _ promise: StaticString) {
    if !condition { fatalError("\(promise)") }
}

struct Reading: Equatable {
    var data: [UInt8] = []
    var trailers: [UInt8] = []
    var consumed = 0
    var isFinished = false
    var fault: BodyError?
}

func read(_ bytes: [UInt8], seeing counts: [Int], _ framing: MessageFraming, _ limit: UInt64) -> Reading {
    var decoder = BodyDecoder(framing, limit: limit)
    var reading = Reading()
    for count in counts {
        var wantsMore = false
        while !wantsMore {
            do {
                let span = bytes.span.extracting(reading.consumed..<count)
                switch try decoder.next(span) {
                case .needsMore(let step):
                    require(step == span.count, "a decoder that needs more has taken everything")
                    reading.consumed += step
                    wantsMore = true
                case .data(let range, let step):
                    require(!range.isEmpty && range.lowerBound >= 0 && range.upperBound <= step && step <= span.count, "data lies within what is consumed")
                    reading.data += bytes[(reading.consumed + range.lowerBound)..<(reading.consumed + range.upperBound)]
                    reading.consumed += step
                case .end(let step):
                    reading.consumed += step
                    reading.isFinished = true
                    reading.trailers = decoder.trailers
                    require(decoder.isFinished && decoder.isWholeAtClose, "a body that has ended says so")
                    return reading
                }
            } catch {
                reading.fault = error
                reading.consumed = 0
                require(!decoder.isFinished && !decoder.isWholeAtClose, "a refused body is not whole")
                return reading
            }
            require(decoder.dataCount == UInt64(reading.data.count), "data is counted")
            require(decoder.dataCount <= limit, "data keeps to the limit")
        }
    }
    return reading
}

/// Chunks of our own with the same data decode to the same data.
func checkRoundTrip(_ data: [UInt8]) {
    var bytes: [UInt8] = []
    var rest = data[...]
    while !rest.isEmpty {
        let piece = rest.prefix(17)
        ChunkPrefix(size: piece.count).append(to: &bytes)
        bytes += piece + [13, 10]
        rest = rest.dropFirst(piece.count)
    }
    bytes += Array("0\r\n\r\n".utf8)
    let reading = read(bytes, seeing: [bytes.count], .chunked, .max)
    require(reading.isFinished && reading.data == data && reading.consumed == bytes.count, "what is written in chunks is read back")
}

func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var bytes = Array(UnsafeBufferPointer(start: start, count: count))
    let choice = bytes.popLast() ?? 0
    let framing: MessageFraming = switch choice & 7 {
    case 0: .length(UInt64(choice >> 3))
    case 1: .untilClose
    default: .chunked
    }
    let limit: UInt64 = choice & 8 == 0 ? .max : UInt64(choice >> 2)
    let whole = read(bytes, seeing: [bytes.count], framing, limit)
    let singly = read(bytes, seeing: Array(0...bytes.count), framing, limit)
    // A body until close that breaks its limit gives out what came before in pieces, and nothing when it comes at once.
    if framing == .untilClose, whole.fault != nil {
        require(singly.fault == whole.fault, "single bytes are refused as the whole is")
    } else {
        require(whole == singly, "single bytes read as the whole does")
    }
    if whole.isFinished { checkRoundTrip(whole.data) }
    return 0
}

/// The fuzzer's own loop, from the sanitizer's runtime; the package manager names this file's entry point itself, so the
/// runtime's `main` cannot be used.
@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

var count = CommandLine.argc
var arguments = CommandLine.unsafeArgv
if runFuzzer(&count, &arguments, { fuzzOneInput($0, $1) }) != 0 { fatalError("The fuzzer could not run.") }
