import GatewayTerms
import Testing

@Suite struct WheelNameTests {
    @Test("A wheel's name carries its version and is written as it was read", arguments: ["1", "1.0.0", "0.0.1", "2026.11.24", "1.2.3.4.5.6", "999999999.0"])
    func reads(version: String) throws {
        let text = "metaflow_gateway_extension-\(version)-py3-none-any.whl"
        let name = try #require(WheelName(text))
        #expect(name.description == text)
        #expect(name.version.description == version)
    }

    @Test("Every other name is refused", arguments: [
        "", "metaflow_gateway_extension-py3-none-any.whl", "metaflow_gateway_extension--py3-none-any.whl", "metaflow_gateway_extension-1.0.0-py3-none-any.whl ",
        "metaflow-gateway-extension-1.0.0-py3-none-any.whl", "metaflow_gateway_extension-1.0.0-py3-none-any.WHL", "metaflow_gateway_extension-1.0.0.tar.gz",
        "other-1.0.0-py3-none-any.whl", "metaflow_gateway_extension-1..0-py3-none-any.whl", "metaflow_gateway_extension-.1-py3-none-any.whl",
        "metaflow_gateway_extension-1.0rc1-py3-none-any.whl", "metaflow_gateway_extension-1/../2-py3-none-any.whl", "metaflow_gateway_extension-1.2.3.4.5.6.7-py3-none-any.whl",
        "metaflow_gateway_extension-1234567890-py3-none-any.whl", "metaflow_gateway_extension-1.0.0-1-py3-none-any.whl", "x/metaflow_gateway_extension-1.0.0-py3-none-any.whl",
        "metaflow_gateway_extension-+1-py3-none-any.whl", "metaflow_gateway_extension-１-py3-none-any.whl",
    ])
    func refuses(text: String) {
        #expect(WheelName(text) == nil)
    }

    @Test("Versions compare by their numbers, and missing numbers are zeros", arguments: [
        ("1.0.0", "1.0.1"), ("1.9", "1.10"), ("1", "1.0.1"), ("0.9.9", "1"), ("1.2", "2.1"), ("0", "0.0.0.1"),
    ])
    func compares(older: String, newer: String) throws {
        let older = try #require(ExtensionVersion(older)), newer = try #require(ExtensionVersion(newer))
        #expect(older < newer)
        #expect(!(newer < older))
        #expect(older != newer)
    }

    @Test("1.2 and 1.2.0 are the same version")
    func ignoresZeros() throws {
        let short = try #require(ExtensionVersion("1.2")), long = try #require(ExtensionVersion("1.2.0"))
        #expect(short == long)
        #expect(Set([short, long]).count == 1)
        #expect(!(short < long) && !(long < short))
    }
}
