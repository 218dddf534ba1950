import CCurl
internal import Proxy

/// One fetch under way: the owner of its easy handle and of all that libcurl points into while it runs. Lives on the fetch
/// thread alone.
@safe
final class Transfer {
    let completion: FetchCompletion
    let easy: UnsafeMutableRawPointer
    private let address: FetchAddress
    private let timeout: Duration
    private let bodyBytesMax: Int
    private var body: [UInt8] = []
    private var headBytes = 0
    private var overrun: Int?
    private var fields: UnsafeMutablePointer<curl_slist>?
    private var reason: UnsafeMutablePointer<CChar>

    /// Longest head of an answer, all its fields together.
    private static let headBytesMax = 64 * 1024

    /// - Parameter remaining: what is left of the request's timeout.
    init(_ request: FetchRequest, remaining: Duration, userAgent: String, completion: @escaping FetchCompletion) throws(FetchError) {
        address = try FetchAddress(request.url, mayBePlain: request.carriesNoSecrets)
        guard let easy = unsafe curl_easy_init() else { throw .other("out of memory") }
        (self.completion, timeout, bodyBytesMax) = (completion, request.timeout, request.bodyBytesMax)
        unsafe self.easy = easy
        unsafe reason = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe reason.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        unsafe fields = nil
        try configure(request, remaining: remaining, userAgent: userAgent)
    }

    deinit {
        unsafe curl_easy_cleanup(easy)
        unsafe curl_slist_free_all(fields)
        unsafe reason.deallocate()
    }

    private func configure(_ request: FetchRequest, remaining: Duration, userAgent: String) throws(FetchError) {
        var options = unsafe EasyOptions(easy)
        unsafe options.accepted(address.use(in: easy))
        options.set(CURLOPT_NOSIGNAL, 1)
        // A resolver that hangs must not hold the thread when its transfer is over.
        options.set(CURLOPT_QUICK_EXIT, 1)
        options.set(CURLOPT_PROTOCOLS_STR, address.isEncrypted ? "https" : "http")
        options.set(CURLOPT_FOLLOWLOCATION, 0)
        options.set(CURLOPT_NETRC, Int(CURL_NETRC_IGNORED.rawValue))
        // An empty name turns off http_proxy and its like: what the environment says must not see tokens.
        options.set(CURLOPT_PROXY, "")
        options.set(CURLOPT_SSL_VERIFYPEER, 1)
        options.set(CURLOPT_SSL_VERIFYHOST, 2)
        options.set(CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2)
        if let caFile = request.caFile {
            options.set(CURLOPT_CAINFO, caFile)
            // Without this, the folder that libcurl was built with is trusted beside the file.
            options.set(CURLOPT_CAPATH, nil as String?)
        }
        options.set(CURLOPT_USERAGENT, userAgent)
        options.set(CURLOPT_TIMEOUT_MS, remaining.wholeMilliseconds)
        options.set(CURLOPT_CONNECTTIMEOUT_MS, min(remaining, request.connectTimeout).wholeMilliseconds)
        options.set(size: CURLOPT_MAXFILESIZE_LARGE, request.bodyBytesMax)
        switch request.method {
        case .get:
            options.set(CURLOPT_HTTPGET, 1)
        case .post(let bytes):
            options.set(CURLOPT_POST, 1)
            options.set(size: CURLOPT_POSTFIELDSIZE_LARGE, bytes.count)
            options.set(copying: bytes)
            // libcurl sends a request again when a kept connection turns out to be closed. A code or a rotating refresh
            // token may be used once only, so a POST goes over a connection of its own.
            options.set(CURLOPT_FRESH_CONNECT, 1)
        }
        for (name, value) in request.fields {
            guard Self.isToken(name), Self.isFieldValue(value) else { throw .invalidField(name: FetchText.printable(name)) }
            // libcurl reads `Name;` as a field with an empty value.
            guard let longer = unsafe curl_slist_append(fields, value.isEmpty ? "\(name);" : "\(name): \(value)") else { throw .other("out of memory") }
            unsafe fields = longer
        }
        unsafe options.accepted(gateway_curl_set_fields(easy, fields) == CURLE_OK)
        unsafe options.set(CURLOPT_ERRORBUFFER, pointer: UnsafeMutableRawPointer(reason))
        unsafe options.set(CURLOPT_WRITEDATA, pointer: Unmanaged.passUnretained(self).toOpaque())
        unsafe options.set(CURLOPT_HEADERDATA, pointer: Unmanaged.passUnretained(self).toOpaque())
        unsafe options.accepted(gateway_curl_set_sink(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            guard let context = unsafe context else { return 0 }
            let transfer = unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
            return unsafe transfer.received(body: UnsafeRawBufferPointer(start: bytes, count: size * count))
        } == CURLE_OK)
        unsafe options.accepted(gateway_curl_set_sink(easy, CURLOPT_HEADERFUNCTION) { _, size, count, context in
            guard let context = unsafe context else { return 0 }
            return unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue().received(headBytes: size * count)
        } == CURLE_OK)
        guard options.allAccepted else { throw .other("libcurl \(unsafe String(cString: curl_version())) refuses an option") }
    }

    /// Returns what libcurl takes for "go on"; less ends the transfer.
    private func received(body bytes: UnsafeRawBufferPointer) -> Int {
        guard bytes.count <= bodyBytesMax - body.count else {
            overrun = bodyBytesMax
            return 0
        }
        unsafe body.append(contentsOf: bytes)
        return bytes.count
    }

    private func received(headBytes count: Int) -> Int {
        headBytes += count
        guard headBytes <= Self.headBytesMax else {
            overrun = Self.headBytesMax
            return 0
        }
        return count
    }

    /// What became of it, once libcurl says that it is over.
    func result(_ code: CURLcode) -> Result<FetchResponse, FetchError> {
        if let overrun { return .failure(.tooLarge(host: address.host, limit: overrun)) }
        guard code == CURLE_OK else { return .failure(error(code)) }
        var status = 0
        unsafe gateway_curl_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
        if (300...399).contains(status), let place = redirection() { return .failure(.redirected(host: address.host, to: place)) }
        return .success(FetchResponse(
            status: status, body: body, cacheControlMaxAge: FetchResponse.maxAge(of: values(of: "Cache-Control")),
            contentType: values(of: "Content-Type").last.map(FetchText.printable)
        ))
    }

    private func redirection() -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard unsafe gateway_curl_get_text(easy, CURLINFO_REDIRECT_URL, &text) == CURLE_OK, let text = unsafe text else { return nil }
        return FetchAddress.withoutSecrets(unsafe String(cString: text))
    }

    private func values(of name: String) -> [String] {
        var values: [String] = []
        var field: UnsafeMutablePointer<curl_header>?
        while unsafe values.count < 16 && curl_easy_header(easy, name, values.count, UInt32(CURLH_HEADER), -1, &field) == CURLHE_OK {
            guard let field = unsafe field, let value = unsafe field.pointee.value else { break }
            values.append(unsafe String(cString: value))
        }
        return values
    }

    private func error(_ code: CURLcode) -> FetchError {
        let host = address.host
        let general = unsafe FetchText.printable(String(cString: curl_easy_strerror(code)))
        switch code {
        case CURLE_URL_MALFORMAT:
            return .invalidURL(reason: general)
        case CURLE_COULDNT_RESOLVE_HOST:
            return .unresolved(host: host)
        case CURLE_COULDNT_CONNECT:
            var number = 0
            unsafe gateway_curl_get_long(easy, CURLINFO_OS_ERRNO, &number)
            return .unreachable(host: host, reason: number == 0 ? general : SystemError.text(Int32(truncatingIfNeeded: number)))
        case CURLE_OPERATION_TIMEDOUT:
            return .timedOut(host: host, after: timeout)
        case CURLE_FILESIZE_EXCEEDED:
            return .tooLarge(host: host, limit: bodyBytesMax)
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER, CURLE_SSL_CACERT_BADFILE,
             CURLE_SSL_ISSUER_ERROR, CURLE_SSL_ENGINE_NOTFOUND, CURLE_SSL_ENGINE_SETFAILED, CURLE_SSL_INVALIDCERTSTATUS:
            // libcurl's own sentence names what is wrong with the certificate; it is made of the certificate and the host.
            let detail = unsafe FetchText.printable(String(cString: reason))
            return .tls(host: host, reason: detail.isEmpty ? general : detail)
        case CURLE_PARTIAL_FILE, CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_HTTP2, CURLE_HTTP2_STREAM:
            return .interrupted(host: host, reason: general)
        case CURLE_WEIRD_SERVER_REPLY, CURLE_UNSUPPORTED_PROTOCOL, CURLE_BAD_CONTENT_ENCODING:
            return .malformed(host: host, reason: general)
        default:
            return .other("\(host): \(general)")
        }
    }

    /// RFC 9110 §5.6.2.
    private static func isToken(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
        }
    }

    /// RFC 9110 §5.5, in ASCII.
    private static func isFieldValue(_ text: String) -> Bool {
        text.utf8.allSatisfy { (0x20..<0x7f).contains($0) || $0 == UInt8(ascii: "\t") }
    }
}
