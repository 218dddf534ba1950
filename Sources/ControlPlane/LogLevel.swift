internal import GatewayConfiguration
package import Logging
internal import Synchronization

/// The least important level that is written: one for all loggers of the process, so that an operator can change it while it runs.
package final class LogLevel: Sendable {
    private let index: Atomic<Int>

    package init(_ level: Logger.Level = .info) { index = Atomic(Self.index(of: level)) }

    package var current: Logger.Level {
        get { Logger.Level.allCases[index.load(ordering: .relaxed)] }
        set { index.store(Self.index(of: newValue), ordering: .relaxed) }
    }

    private static func index(of level: Logger.Level) -> Int { Logger.Level.allCases.firstIndex(of: level) ?? 0 }
}

/// Writes what another handler would write, at the level of a ``LogLevel``.
package struct LeveledLogHandler: LogHandler {
    private var handler: any LogHandler
    private let level: LogLevel

    package init(_ handler: any LogHandler, level: LogLevel) {
        self.handler = handler
        self.level = level
    }

    package var logLevel: Logger.Level {
        get { level.current }
        set { level.current = newValue }
    }

    package var metadata: Logger.Metadata {
        get { handler.metadata }
        set { handler.metadata = newValue }
    }

    package var metadataProvider: Logger.MetadataProvider? {
        get { handler.metadataProvider }
        set { handler.metadataProvider = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { handler[metadataKey: key] }
        set { handler[metadataKey: key] = newValue }
    }

    package func log(event: LogEvent) { handler.log(event: event) }
}

extension Configuration.Log.Level {
    var loggerLevel: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}
