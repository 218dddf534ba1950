internal import Authentication
package import GatewayConfiguration
package import GatewayTerms
package import Proxy
internal import Synchronization

/// Explains a request under the configuration of a file, which nobody need serve. Keys are taken from the state directory, where a running
/// gateway keeps them, and else asked of the provider; nothing is written.
package enum FileExplainer {
    package enum Fault: Error, CustomStringConvertible {
        case configuration(Diagnostics)
        case setUp(String)

        package var description: String {
            switch self {
            case .configuration(let diagnostics): diagnostics.description
            case .setUp(let reason): reason
            }
        }
    }

    package static func explain(_ sketch: RequestSketch, path: String, now: WallTime, surroundings: GatewayConfiguration.Surroundings = .machine) async throws(Fault) -> Explanation {
        let loaded: LoadedConfiguration
        let snapshot: Snapshot
        let sources: [KeySetSource]
        var keySets: KeySets
        do throws(Diagnostics) {
            loaded = try Configuration.load(path: path, surroundings: surroundings).get()
            snapshot = try SnapshotCompiler.compile(loaded, loops: 1, now: now, surroundings: surroundings).get().snapshot
            let (found, fixed) = try KeySetSources.of(loaded.configuration, surroundings)
            sources = found
            keySets = KeySets(fixed)
        } catch { throw .configuration(error) }
        let store = KeySetStore(folder: loaded.configuration.stateDirectory.value + "/key-sets")
        for source in sources {
            guard let copy = (try? store.read(issuer: source.issuer, documentBytesMax: KeySet.documentBytesMax)) ?? nil,
                  let keySet = try? KeySet(document: copy.document, issuer: source.issuer, generation: KeySetGeneration.next()) else { continue }
            keySets = keySets.replacing(with: keySet)
        }
        let ring = LoginKeyRing.existing(loaded.configuration, surroundings: surroundings, now: now)
        let explainer: Explainer
        do { explainer = try Explainer() } catch { throw .setUp("\(error)") }
        func explain(_ refetch: RefetchState) -> Explainer.Outcome {
            let login = LoginSurroundings(keyRing: ring, keySets: keySets, revocation: .none, now: now)
            return explainer.explain(sketch, Explainer.Surroundings(snapshot: snapshot, login: login), refetch: refetch)
        }
        switch explain(.notTried) {
        case .explained(let explanation): return explanation
        case .needsKeys(let issuer, _):
            var refetch = RefetchState.failed
            if let source = sources.first(where: { $0.issuer == issuer }), let keySet = try? await fetch(source) {
                keySets = keySets.replacing(with: keySet)
                refetch = .done
            }
            guard case .explained(let explanation) = explain(refetch) else { throw .setUp("the keys of \(issuer) were fetched and are still asked for") }
            return explanation
        }
    }

    /// One fetch, without a copy on disk: the file would belong to whoever asks.
    private static func fetch(_ source: KeySetSource) async throws -> KeySet? {
        let client = try IdentityProviderClient(userAgent: "metaflow-gateway")
        defer { client.shutdown() }
        let (events, continuation) = AsyncStream<KeySetEvent>.makeStream()
        let fetcher = KeySetFetcher(sources: [source], store: nil, ports: KeySetPorts(client: client, wallNow: { .current })) { continuation.yield($0) }
        fetcher.start()
        defer { fetcher.stop() }
        for await event in events {
            switch event {
            case .published(let keySet, _): return keySet
            case .failed, .withdrawn: return nil
            case .confirmed, .storeFailed: continue
            }
        }
        return nil
    }
}
