internal import Glibc
internal import Proxy

/// The one owner of an inotify descriptor: says that something happened in a folder, not what. Folders are watched, not files: an editor
/// and a mounted Secret put a new file, or a new `..data` link, in the place of the old one (inotify(7)).
struct FolderEvents: ~Copyable {
    private let descriptor: Int32
    private var watches: [String: Int32] = [:]

    /// `nil` where the system has no more inotify instances.
    init?() {
        descriptor = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
        guard descriptor >= 0 else { return nil }
    }

    deinit { close(descriptor) }

    var pollDescriptor: Int32 { descriptor }

    /// Watches these folders and no others; one that is not there is left to the poll, and tried again next time.
    /// - Returns: folders that the system refused to watch, with its reason.
    mutating func follow(_ folders: Set<String>) -> [(folder: String, reason: String)] {
        for (folder, watch) in watches where !folders.contains(folder) {
            inotify_rm_watch(descriptor, watch)
            watches[folder] = nil
        }
        var refused: [(folder: String, reason: String)] = []
        let events = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF
        for folder in folders {
            // Asked anew each time: the name may stand for another folder by now.
            let watch = unsafe inotify_add_watch(descriptor, folder, UInt32(events))
            if watch >= 0 { watches[folder] = watch } else if errno != ENOENT { refused.append((folder, SystemError.text(errno))) }
        }
        return refused
    }

    /// Takes what there is; true when there was something.
    func drain() -> Bool {
        var bytes = [UInt8](repeating: 0, count: 16_384)
        var any = false
        while true {
            let count = unsafe read(descriptor, &bytes, bytes.count)
            guard count > 0 else { return any }
            any = true
        }
    }
}
