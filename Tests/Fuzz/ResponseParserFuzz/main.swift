// Any bytes as a response head. Built with -sanitize=fuzzer; see Package.swift for the switch.
import GatewayTerms
import HTTPWire

/// A broken invariant ends the run, and the fuzzer keeps the input.
func require(_ condition: Bool, _ promise: StaticString) {
    if !condition { fatalError("\(promise)") }
}

enum Reading: Equatable {
    case head(Int), incomplete, refused(ResponseError)
}

func read(_ bytes: [UInt8], seeing counts: [Int], _ method: Method, _ limits: ResponseLimits, into head: inout ResponseHead) -> Reading {
    var parser = ResponseParser(limits: limits)
    for count in counts {
        do {
            if try parser.parse(bytes.span.extracting(0..<count), requestMethod: method, into: &head) { return .head(head.byteCount) }
        } catch {
            return .refused(error)
        }
    }
    return .incomplete
}

func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    var limits = ResponseLimits()
    let last = bytes.last ?? 0
    if last & 1 == 1 {
        limits.headBytesMax = 64 + Int(last)
        limits.fieldLineBytesMax = 24 + Int(last >> 3)
        limits.fieldsMax = 1 + Int(last >> 5)
    }
    let method: Method = last & 2 == 0 ? .get : .head
    var head = ResponseHead()
    let whole = read(bytes, seeing: [count], method, limits, into: &head)
    let summary = head
    let singly = read(bytes, seeing: Array(0...count), method, limits, into: &head)
    require(whole == singly, "single bytes read as the whole does")
    guard case .head = whole else { return 0 }
    require(head.fields == summary.fields && head.framing == summary.framing && head.status == summary.status, "single bytes give the same head")
    func isInside(_ slice: Slice) -> Bool { slice.count >= 0 && slice.range.lowerBound >= 0 && slice.range.upperBound <= head.byteCount }
    require(head.byteCount <= bytes.count && head.byteCount <= limits.headBytesMax, "a head lies within what was given and its limit")
    require((100...999).contains(head.status) && isInside(head.reason) && head.fields.count <= limits.fieldsMax, "status, reason and fields keep to their limits")
    require((head.upgrade != nil) == (head.status == 101), "101 and nothing else switches")
    if head.status < 200 || head.status == 204 || head.status == 304 || method == .head { require(head.framing == .none, "no body where none can be") }
    require(head.framing != .untilClose || !head.keepsAlive, "a body until close ends the connection")
    require(head.fields.filter { $0.field == .contentLength }.count <= 1, "one Content-Length is left")
    for line in head.fields {
        require(isInside(line.name) && isInside(line.value) && line.name.count > 0, "the lines lie within the head")
        require(bytes[line.value.range].allSatisfy { $0 == 9 || $0 >= 0x20 && $0 != 0x7F }, "a value has no control byte")
    }
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
