// swift-tools-version: 6.2
import PackageDescription

// The graph, one target a line; arrows point down only (who may import whom is this list and nothing else):
//
//   metaflow-gateway → ControlPlane → Proxy → {HTTPWire, HTTP2, Compression, Routing, Authentication, CommandLineAPI, TLS} → GatewayTerms
//                      ControlPlane → ConfigurationJudgement → {GatewayConfiguration, Routing} → GatewayTerms
//   metaflow-local-platform → GatewayTerms                      (shares no code with the data path)

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]
/// For the modules that touch C memory: every unsafe expression says so.
let strictMemory = strict + [.strictMemorySafety()]

func nio(_ products: String...) -> [Target.Dependency] {
    products.map { .product(name: $0, package: "swift-nio") }
}
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let signals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let collections: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")

/// FUZZ=1 adds the fuzz targets, and coverage for what they fuzz: FUZZ=1 swift build -c release --scratch-path .build/fuzz
let isFuzzing = Context.environment["FUZZ"] == "1"
let coverage: [SwiftSetting] = isFuzzing ? [.unsafeFlags(["-sanitize=fuzzer"])] : []

func core(_ name: String, _ dependencies: [Target.Dependency] = [], unsafe: Bool = false) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: (unsafe ? strictMemory : strict) + coverage)
}
func fuzz(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    // gold cannot link the fuzzer's runtime, and the package manager's name for `main` needs lld too.
    .executableTarget(
        name: name, dependencies: dependencies, path: "Tests/Fuzz/\(name)", swiftSettings: strict + coverage,
        linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])])
}
func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, resources: resources, swiftSettings: strict)
}

let package = Package(
    name: "metaflow-gateway",
    products: [
        .executable(name: "metaflow-gateway", targets: ["metaflow-gateway"]),
        .executable(name: "metaflow-local-platform", targets: ["metaflow-local-platform"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // C libraries: a module map and a shim header each.
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CJWT", pkgConfig: "libjwt", providers: [.apt(["libjwt-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CNghttp2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),

        // The leaf: value types that all modules speak.
        core("GatewayTerms"),
        // The core: decides; no sockets, clocks, randomness or tasks.
        core("GatewayConfiguration", ["GatewayTerms", "Yams"], unsafe: true),
        core("HTTPWire", ["GatewayTerms"], unsafe: true),
        core("HTTP2", ["CNghttp2"], unsafe: true),
        core("Compression", ["CZlib"], unsafe: true),
        core("Routing", ["GatewayTerms"]),
        core("ConfigurationJudgement", ["GatewayConfiguration", "Routing", "GatewayTerms"]),
        core("CommandLineAPI", ["GatewayTerms"]),
        core("Authentication", ["GatewayTerms", "COpenSSL", "CJWT"], unsafe: true),
        core("TLS", ["GatewayTerms", "COpenSSL"], unsafe: true),
        // The shell: acts.
        core("Proxy", ["HTTPWire", "HTTP2", "Compression", "Routing", "Authentication", "CommandLineAPI", "TLS", "GatewayTerms", collections]
            + nio("NIOCore", "NIOPosix"), unsafe: true),
        core("ControlPlane", ["ConfigurationJudgement", "Proxy", "HTTPWire", "Routing", "Authentication", "CommandLineAPI", "TLS", "GatewayConfiguration", "GatewayTerms", "CCurl", "COpenSSL", logging]
            + nio("NIOCore", "NIOPosix"), unsafe: true),
        .executableTarget(name: "metaflow-gateway", dependencies: ["ControlPlane", "ConfigurationJudgement", "Proxy", "Authentication", "GatewayConfiguration", "GatewayTerms", arguments, logging]
            + [signals], path: "Sources/MetaflowGateway", swiftSettings: strictMemory),
        .executableTarget(name: "metaflow-local-platform", dependencies: [
            "GatewayTerms", "CJWT", "COpenSSL", arguments, logging,
            .product(name: "Hummingbird", package: "hummingbird"), .product(name: "GRDB", package: "GRDB.swift"),
        ] + nio("NIOCore", "NIOHTTP1", "NIOWebSocket"), path: "Sources/LocalPlatform", swiftSettings: strictMemory),

        // Tests: a target a module, and what they share.
        .target(name: "TestSupport", path: "Tests/Support", swiftSettings: strict),
        tests("GatewayTermsTests", ["GatewayTerms"]),
        tests("RoutingTests", ["Routing", "GatewayTerms"]),
        tests("ConfigurationJudgementTests", ["ConfigurationJudgement", "GatewayConfiguration", "GatewayTerms"]),
        tests("CommandLineAPITests", ["CommandLineAPI", "GatewayTerms"]),
        tests("HTTPWireTests", ["HTTPWire", "GatewayTerms"]),
        tests("HTTP2Tests", ["HTTP2", "CNghttp2"]),
        tests("CompressionTests", ["Compression", "CZlib"]),
        tests("GatewayConfigurationTests", ["GatewayConfiguration", "GatewayTerms"]),
        tests("AuthenticationTests", ["Authentication", "GatewayTerms", "COpenSSL", "CJWT"]),
        tests("TLSTests", ["TLS", "GatewayTerms"]),
        tests("ProxyTests", ["Proxy", "Authentication", "HTTPWire", "HTTP2", "Routing", "GatewayTerms", "TestSupport"] + nio("NIOCore")),
        tests("ControlPlaneTests", ["ControlPlane", "Proxy", "Authentication", "GatewayConfiguration", "GatewayTerms", "TestSupport"]),
        tests("LocalPlatformTests", ["metaflow-local-platform", "GatewayTerms", arguments]),
    ] + (isFuzzing ? [
        fuzz("CanonicalPathFuzz", ["GatewayTerms"]),
        fuzz("RequestParserFuzz", ["HTTPWire", "GatewayTerms"]),
        fuzz("BodyDecoderFuzz", ["HTTPWire", "GatewayTerms"]),
        fuzz("ResponseParserFuzz", ["HTTPWire", "GatewayTerms"]),
        fuzz("TokenFuzz", ["Authentication", "GatewayTerms", "COpenSSL"]),
        fuzz("ConfigurationFuzz", ["GatewayConfiguration", "GatewayTerms"]),
    ] : [])
)
