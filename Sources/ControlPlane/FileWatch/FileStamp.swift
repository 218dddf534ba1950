internal import Glibc

/// What tells one state of a file from another without reading it: the file behind all symbolic links, its size and its times.
struct FileStamp: Sendable, Equatable {
    private var device: UInt64
    private var inode: UInt64
    private var size: Int64
    private var modifiedSeconds: Int
    private var modifiedNanoseconds: Int
    private var changedSeconds: Int
    private var changedNanoseconds: Int

    /// `nil` where there is no such file.
    init?(_ path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        (modifiedSeconds, modifiedNanoseconds) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
        (changedSeconds, changedNanoseconds) = (status.st_ctim.tv_sec, status.st_ctim.tv_nsec)
    }
}

/// The states of a configuration's files at one moment.
struct FileStamps: Sendable, Equatable {
    private let stamps: [String: FileStamp?]

    init(of files: some Sequence<String>) {
        stamps = Dictionary(files.map { ($0, FileStamp($0)) }, uniquingKeysWith: { first, _ in first })
    }

    var files: [String] { stamps.keys.sorted() }

    /// The same files, now.
    func again() -> FileStamps { FileStamps(of: stamps.keys) }

    /// Of these files: as they were, where that is known, otherwise as they are.
    func covering(_ files: Set<String>) -> FileStamps {
        FileStamps(Dictionary(uniqueKeysWithValues: files.map { ($0, stamps[$0] ?? FileStamp($0)) }))
    }

    private init(_ stamps: [String: FileStamp?]) { self.stamps = stamps }
}
