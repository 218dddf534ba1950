// Any bytes as a request head. Built with -sanitize=fuzzer; see Package.swift for the switch.
import GatewayTerms
import HTTPWire

/// A broken invariant ends the run, and the fuzzer keeps the input.
func require(_ condition: Bool, _ promise: StaticString) {
    if !condition { fatalError("\(promise)") }
}

enum Reading: Equatable {
    case head(Int), incomplete, refused(RequestError)
}

func read(_ bytes: [UInt8], seeing counts: [Int], _ limits: RequestLimits, into head: inout RequestHead) -> Reading {
    var parser = RequestParser(limits: limits)
    for count in counts {
        do {
            if try parser.parse(bytes.span.extracting(0..<count), into: &head) { return .head(head.byteCount) }
        } catch {
            return .refused(error)
        }
    }
    return .incomplete
}

func checkPlaces(_ head: RequestHead, _ bytes: [UInt8], _ limits: RequestLimits) {
    func isInside(_ slice: Slice) -> Bool { slice.count >= 0 && slice.range.lowerBound >= 0 && slice.range.upperBound <= head.byteCount }
    func isText(_ slice: Slice, _ allowed: (UInt8) -> Bool) -> Bool { bytes[slice.range].allSatisfy(allowed) }
    require(head.byteCount <= bytes.count && head.byteCount <= limits.headBytesMax, "a head lies within what was given and its limit")
    require(head.fields.count <= limits.fieldsMax, "the fields keep to their limit")
    require(isInside(head.target) && isInside(head.path) && isInside(head.authority), "the places lie within the head")
    require(head.target.count > 0 && head.target.count <= Int32(limits.targetBytesMax), "the target keeps to its limit")
    require(isText(head.target) { (0x21...0x7E).contains($0) && $0 != 0x23 }, "the target is visible ASCII without a fragment")
    require(head.isAsteriskForm || bytes[head.path.range].first == 0x2F, "the path begins with a slash")
    require(head.authority.count > 0, "there is a host")
    if let query = head.query { require(isInside(query), "the query lies within the head") }
    if let upgrade = head.upgrade {
        require(isInside(upgrade), "the upgrade lies within the head")
        require(head.framing == .none || head.framing == .length(0), "an upgrade has no body")
    }
    require(head.framing != .untilClose, "a request's body has a known end")
    for line in head.fields {
        require(isInside(line.name) && isInside(line.value), "the lines lie within the head")
        require(line.name.count > 0, "a field has a name")
        require(isText(line.name) { (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 45 }, "a name is letters, digits, hyphens")
        require(isText(line.value) { $0 == 9 || $0 >= 0x20 && $0 != 0x7F }, "a value has no control byte")
        require(bytes[line.value.range].first != 32 && bytes[line.value.range].last != 32, "a value has no blanks around it")
    }
    for field in [FieldName.host, .contentLength, .transferEncoding, .authorization, .contentType, .expect] {
        require(head.fields.filter { $0.field == field }.count <= 1, "a field that decides comes once")
    }
    require(!head.fields.contains { $0.isHopByHop && $0.field.isProtected && $0.field != .transferEncoding }, "no protected field is lost")
}

/// Writes what was read as it would be forwarded, and reads that: nothing may change in meaning.
func checkForwarded(_ head: RequestHead, _ bytes: [UInt8]) {
    guard !head.isAsteriskForm else { return }
    var writer = HeadWriter(capacity: 1024)
    let span = bytes.span
    writer.requestLine(head.method, path: span.extracting(head.path.range), query: nil)
    writer.field("Host", span.extracting(head.authority.range))
    for line in head.fields where !line.isHopByHop && line.field != .host && line.field != .contentLength && line.field != .expect {
        writer.rawField(name: span.extracting(line.name.range), value: span.extracting(line.value.range))
    }
    switch head.framing {
    case .length(let length): writer.field("Content-Length", number: length)
    case .chunked: writer.field("Transfer-Encoding", "chunked")
    case .none, .untilClose: break
    }
    writer.end()
    var limits = RequestLimits()
    limits.headBytesMax = 1 << 20
    limits.fieldLineBytesMax = 1 << 20
    limits.targetBytesMax = 1 << 20
    limits.fieldsMax += 2
    var again = RequestHead()
    let written = writer.bytes
    let reading = read(written, seeing: [written.count], limits, into: &again)
    require(reading == .head(written.count), "what is forwarded is one whole head")
    require(again.method == head.method && again.framing == head.framing, "what is forwarded has the same method and framing")
    require(written[again.path.range].elementsEqual(bytes[head.path.range]), "what is forwarded has the same path")
    require(written[again.authority.range].elementsEqual(bytes[head.authority.range]), "what is forwarded has the same host")
}

func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    var limits = RequestLimits()
    // Small limits half of the time, chosen by the input itself.
    if let last = bytes.last, last & 1 == 1 {
        limits.headBytesMax = 64 + Int(last)
        limits.fieldLineBytesMax = 24 + Int(last >> 3)
        limits.targetBytesMax = 8 + Int(last >> 4)
        limits.fieldsMax = 1 + Int(last >> 5)
    }
    var head = RequestHead()
    let whole = read(bytes, seeing: [count], limits, into: &head)
    let summary = head
    let singly = read(bytes, seeing: Array(0...count), limits, into: &head)
    require(whole == singly, "single bytes read as the whole does")
    if case .head = whole { require(head.fields == summary.fields && head.framing == summary.framing, "single bytes give the same fields") }
    let middle = count > 0 ? Int(bytes[0]) * 7 % count : 0
    require(whole == read(bytes, seeing: [middle, count], limits, into: &head), "two pieces read as the whole does")
    if case .head = whole {
        checkPlaces(head, bytes, limits)
        checkForwarded(head, bytes)
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
