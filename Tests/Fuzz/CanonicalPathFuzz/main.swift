import GatewayTerms

/// Reads the input as a path and holds ``CanonicalPath`` to its promises: it never traps; what it accepts is in the one form and reads back
/// as itself; and nothing that two programs could read differently is left in it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    guard let path = try? CanonicalPath(input.span) else { return 0 }
    let bytes = path.bytes
    check(bytes.first == UInt8(ascii: "/") && bytes.count <= CanonicalPath.countMax)
    check(bytes.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\\") && $0 != UInt8(ascii: "#") && $0 != UInt8(ascii: "?") })
    let segments = bytes.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    for (index, segment) in segments.enumerated() {
        check(!segment.elementsEqual(".".utf8) && !segment.elementsEqual("..".utf8))
        // Only the last may be empty: a trailing slash.
        check(!segment.isEmpty || index == segments.count - 1)
    }
    let text = path.description
    for forbidden in ["%00", "%2F", "%5C", "%2E", "%7E", "%41", "%61", "%30"] { check(!text.contains(forbidden)) }
    check((path.change == .none) == (bytes == input))
    check(path.hasParameters == bytes.contains(UInt8(ascii: ";")))
    guard let again = try? CanonicalPath(bytes.span) else {
        check(false)
        return 0
    }
    check(again.bytes == bytes && again.change == .none)
    return 0
}

private func check(_ condition: Bool, line: Int = #line) {
    if !condition { fatalError("the promise on line \(line) was broken") }
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
