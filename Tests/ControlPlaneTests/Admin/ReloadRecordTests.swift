import GatewayTerms
import Testing

@testable import ControlPlane

@Suite("The record of reloads")
struct ReloadRecordTests {
    private static let now = WallTime(seconds: 1_800_000_000)

    private static func entry(changes: Int) -> ReloadRecord.Entry {
        ReloadRecord.Entry(
            at: now, cause: .files, version: "abc", duration: .zero, diagnostics: [], changes: (0..<changes).map { "/path\($0) becomes public" })
    }

    @Test("Of a reload that changes ten thousand routes the first changes are kept, and how many more there were", arguments: [
        (changes: 200, kept: 200, last: "/path199 becomes public"), (changes: 201, kept: 201, last: "and 1 more"), (changes: 10_000, kept: 201, last: "and 9800 more"),
    ])
    func boundsTheChanges(changes: Int, kept: Int, last: String) {
        let record = ReloadRecord(version: "start", at: Self.now)
        record.add(Self.entry(changes: changes))
        #expect(record.reading.recent.first?.changes.count == kept)
        #expect(record.reading.recent.first?.changes.last == last)
    }

    @Test("Only the last reloads are kept, and all are counted")
    func boundsTheEntries() {
        let record = ReloadRecord(version: "start", at: Self.now)
        for _ in 0..<40 { record.add(Self.entry(changes: 1)) }
        #expect(record.reading.recent.count == ReloadRecord.entriesMax)
        #expect(record.reading.accepted == 40)
    }
}
