internal import ConfigurationJudgement
package import GatewayConfiguration
internal import GatewayTerms
package import Proxy

/// Runs a recorded access log through a configuration that nobody serves yet: each request's host, method and path meet the code that
/// serves, and what they meet is compared with what the line says. In constant memory, however long the log is.
package enum AccessLogReplay {
    package enum Fault: Error, CustomStringConvertible {
        case unreadable(String)

        package var description: String { switch self { case .unreadable(let reason): reason } }
    }

    /// - Parameters:
    ///   - path: of the log; `-` is standard input.
    ///   - old: what the log was recorded under, where that is known: whoever passed a policy as strict as the new one passes the new one.
    package static func run(_ path: String, through snapshot: Snapshot, recordedUnder old: Configuration?) throws(Fault) -> ReplayReport {
        var reader: LineReader
        do { reader = try LineReader(path: path, bytesMax: LoggedRequest.lineBytesMax) } catch { throw .unreadable("\(path) cannot be read: \(error)") }
        let demands = old.map { DemandTable($0) }
        var report = ReplayReport()
        while let line = reader.next() {
            switch line {
            case .failed(let reason): throw .unreadable("\(path) cannot be read to its end: \(reason)")
            case .tooLong: report.badLines += 1
            case .bytes(let bytes) where bytes.isEmpty: continue
            case .bytes(let bytes):
                switch LoggedRequest.read(bytes.span) {
                case .bad: report.badLines += 1
                case .other: report.otherLines += 1
                case .request(let logged): judge(logged, snapshot, demands, &report)
                }
            }
        }
        return report
    }

    private static func judge(_ logged: LoggedRequest, _ snapshot: Snapshot, _ demands: DemandTable?, _ report: inout ReplayReport) {
        let destination: SketchedDestination
        do throws(RequestSketch.Unreadable) {
            destination = try RequestSketch(method: logged.method, authority: logged.host, target: logged.path).destination(snapshot)
        } catch {
            // Such a request was refused before anything was looked at, and is now.
            let isRefused = logged.upstream == nil && (logged.status ?? 0) >= 400
            return report.add(logged, stage: nil, isRefused ? .same : .depends(on: "what the log cut off", to: "an answer of 400"))
        }
        var policy: Configuration.Policy?
        var client: Configuration.Client?
        if let demands, let host = Self.host(logged.host), let path = try? CanonicalPath(logged.path), let method = Self.method(logged.method) {
            policy = demands.policy(host, path, method)
            client = logged.client.flatMap { demands.client($0, host) }
        }
        report.add(logged, stage: destination.stage, ReplayVerdict(logged, destination, policy: policy, client: client))
    }

    private static func host(_ authority: String) -> Hostname? {
        if let colon = authority.lastIndex(of: ":"), authority.last != "]" { return Hostname(authority[..<colon]) }
        return Hostname(authority)
    }

    private static func method(_ name: String) -> Method? { Method(Array(name.utf8).span) }
}
