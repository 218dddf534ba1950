/// Signature-verified claims by the SHA-256 of their token (C7): two generations of entries. A hit in the older moves to the
/// younger; when the younger is full it becomes the older, and the former older is dropped. So what is used stays, at the
/// cost of a dictionary's look-up. Only verified tokens enter, so forged ones evict nothing.
///
/// Whether an entry may be used is not decided here: its issuer's key-set generation must be the current one, and
/// `TokenPolicy` is asked on every hit.
struct VerifiedTokenCache {
    final class Entry {
        let token: VerifiedToken
        /// What the token is on the stage that asked last; a pure function of the two.
        private var reading: (stage: StageRules, reading: StageReading)?

        init(_ token: VerifiedToken) { self.token = token }

        func reading(in stage: StageRules) -> StageReading {
            if let reading, reading.stage === stage { return reading.reading }
            let reading = StageReading(of: token, in: stage)
            self.reading = (stage, reading)
            return reading
        }
    }

    /// Both generations together.
    private let entriesMax: Int
    /// Bytes of the tokens whose claims are held, both generations together. Claims take a few times that.
    private let tokenBytesMax: Int

    private var young: [TokenDigest: Entry] = [:]
    private var old: [TokenDigest: Entry] = [:]
    private var youngBytes = 0

    init(entriesMax: Int, tokenBytesMax: Int) {
        self.entriesMax = max(entriesMax, 2)
        self.tokenBytesMax = tokenBytesMax
    }

    var count: Int { young.count + old.count }

    mutating func entry(_ digest: TokenDigest) -> Entry? {
        if let entry = young[digest] { return entry }
        guard let entry = old.removeValue(forKey: digest) else { return nil }
        store(entry, digest)
        return entry
    }

    mutating func insert(_ token: VerifiedToken, _ digest: TokenDigest) -> Entry {
        let entry = Entry(token)
        old.removeValue(forKey: digest)
        store(entry, digest)
        return entry
    }

    mutating func remove(_ digest: TokenDigest) {
        if let entry = young.removeValue(forKey: digest) { youngBytes -= entry.token.tokenBytes }
        old.removeValue(forKey: digest)
    }

    private mutating func store(_ entry: Entry, _ digest: TokenDigest) {
        if young.count >= entriesMax / 2 || youngBytes + entry.token.tokenBytes > tokenBytesMax / 2 {
            old = young
            young = [:]
            youngBytes = 0
        }
        if let replaced = young.updateValue(entry, forKey: digest) { youngBytes -= replaced.token.tokenBytes }
        youngBytes += entry.token.tokenBytes
    }
}
