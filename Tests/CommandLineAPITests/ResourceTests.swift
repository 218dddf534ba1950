import CommandLineAPI
import Foundation
import GatewayTerms
import Testing

/// Which paths there are, for which methods, and how long their answers may be kept.
@Suite struct ResourceTests {
    static let wheelPath = "/metaflow_gateway_extension-1.2.0-py3-none-any.whl"
    static let json = "application/json"
    static let html = "text/html; charset=utf-8"
    static let paths = ["", "/", "/config", "/whoami", "/callback", wheelPath]

    @Test("Each resource answers with its status, its type and how long it may be kept", arguments: [
        ("", 200, json, "no-cache"), ("/", 200, json, "no-cache"), ("/config", 200, json, "no-cache"),
        ("/whoami", 200, json, nil), ("/callback", 400, html, nil),
        (wheelPath, 200, "application/octet-stream", "public, max-age=31536000, immutable"),
    ])
    func answers(path: String, status: Int, type: String, freshness: String?) {
        let answer = Scene.service().get(path, identity: Scene.ada)
        #expect(answer.status == status)
        #expect(answer.contentType == type)
        #expect(answer.value(of: "cache-control") == freshness)
        #expect(answer.isCacheable == (freshness != nil))
        #expect(answer.etag == answer.value(of: "etag"))
        #expect((answer.etag != nil) == (freshness != nil))
    }

    @Test("HEAD is answered as GET is; its sender leaves the body away", arguments: paths)
    func answersHead(path: String) {
        let service = Scene.service()
        #expect(service.get(path, method: .head, identity: Scene.ada) == service.get(path, identity: Scene.ada))
    }

    @Test("Every other method is 405 and told which there are", arguments: paths, [Method.post, .put, .patch, .delete, .options, .connect, .trace])
    func refusesMethods(path: String, method: GatewayTerms.Method) throws {
        let answer = Scene.service().get(path, method: method, identity: Scene.ada)
        #expect(answer.status == 405)
        #expect(answer.value(of: "allow") == "GET, HEAD")
        #expect(try answer.json["message"] as? String == "This path answers GET and HEAD only.")
    }

    static let strangers = [
        "/configs", "/config/", "/config/x", "//", "/Config", "/whoami/", "/WHOAMI", "/callback/", "/wheel", "/.", "/metaflow_gateway_extension.whl.txt",
        "/<script>alert(1)</script>", "/\"><img src=x>", "/%22%3E", "/\u{202e}", "/\0", "/" + String(repeating: "a", count: 8000),
    ]

    @Test("Every other path is a 404 in JSON that repeats nothing of it", arguments: strangers)
    func refusesPaths(path: String) throws {
        let answer = Scene.service().get(path)
        #expect((answer.status, answer.contentType, answer.isCacheable) == (404, Self.json, false))
        #expect(answer == Scene.service().get("/nothing"))
        #expect(try answer.json["code"] as? String == "no_route")
    }

    @Test("Another version of the wheel is a 404 that says how to get this one", arguments: [
        "/metaflow_gateway_extension-1.1.0-py3-none-any.whl", "/metaflow_gateway_extension-1.2-py3-none-any.whl", "/x.whl",
    ])
    func refusesOtherWheels(path: String) throws {
        let message = try Scene.service().get(path).json["message"] as? String
        #expect(message == "This stage has another version of the extension. Run: pip install https://alpha.example.com/cli\(Self.wheelPath)")
        let none = try Scene.service { $0.wheel = nil }.get(path).json["message"] as? String
        #expect(none == "This stage does not give out the extension. Ask its operators for it.")
    }

    @Test("The wheel is the file's own bytes")
    func servesWheel() {
        #expect(Scene.service().get(Self.wheelPath).body == Scene.wheel.bytes)
    }

    @Test("Only whoami needs a bearer token", arguments: paths + strangers)
    func needsIdentity(path: String) {
        #expect(Scene.service().needsIdentity(path: path) == (path == "/whoami"))
    }

    @Test("A client beyond its allowance is told when to come back", arguments: [(1, "1"), (17, "17"), (0, "1"), (-5, "1")])
    func limits(seconds: Int, expected: String) throws {
        let answer = CommandLineService.tooManyRequests(retryAfterSeconds: seconds)
        #expect(answer.status == 429)
        #expect(answer.value(of: "retry-after") == expected)
        #expect(try answer.json["message"] as? String == "Too many requests came from your network address. Try again in \(expected) s.")
    }
}
