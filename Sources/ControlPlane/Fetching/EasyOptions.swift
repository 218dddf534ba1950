import CCurl

/// Sets the options of one easy handle and remembers whether libcurl took all of them: an option that it does not know must
/// not be lost in silence, since some of them are what keeps a secret.
@safe
struct EasyOptions: ~Copyable {
    private let easy: UnsafeMutableRawPointer
    private(set) var allAccepted = true

    init(_ easy: UnsafeMutableRawPointer) { unsafe self.easy = easy }

    mutating func accepted(_ wasAccepted: Bool) { allAccepted = allAccepted && wasAccepted }

    mutating func set(_ option: CURLoption, _ value: Int) {
        unsafe accepted(gateway_curl_set_long(easy, option, value) == CURLE_OK)
    }

    mutating func set(_ option: CURLoption, _ text: String?) {
        unsafe accepted(gateway_curl_set_text(easy, option, text) == CURLE_OK)
    }

    mutating func set(size option: CURLoption, _ count: Int) {
        unsafe accepted(gateway_curl_set_size(easy, option, curl_off_t(count)) == CURLE_OK)
    }

    mutating func set(_ option: CURLoption, pointer: UnsafeMutableRawPointer) {
        unsafe accepted(gateway_curl_set_pointer(easy, option, pointer) == CURLE_OK)
    }

    /// The body of a POST, whose size is set already.
    mutating func set(copying bytes: [UInt8]) {
        // Without an address, libcurl would read the body from standard input.
        let outcome = unsafe (bytes.isEmpty ? [0] : bytes).withUnsafeBytes { bytes in
            unsafe gateway_curl_set_pointer(easy, CURLOPT_COPYPOSTFIELDS, UnsafeMutableRawPointer(mutating: bytes.baseAddress))
        }
        accepted(outcome == CURLE_OK)
    }
}
