internal import GatewayTerms
internal import Glibc

/// What the system says of this process (proc(5)), under the names that Prometheus' own client libraries use.
struct ProcessReading: Sendable, Equatable {
    var cpuSeconds = 0.0
    var residentBytes = 0
    var openFiles = 0
    var openFilesMax = 0

    static func current() -> ProcessReading {
        var reading = ProcessReading()
        var usage = rusage()
        if unsafe getrusage(RUSAGE_SELF.rawValue, &usage) == 0 {
            func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
            reading.cpuSeconds = seconds(usage.ru_utime) + seconds(usage.ru_stime)
        }
        reading.residentBytes = residentPages() * Int(sysconf(Int32(_SC_PAGESIZE)))
        var limit = rlimit()
        if unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 { reading.openFilesMax = Int(clamping: limit.rlim_cur) }
        reading.openFiles = openFileCount()
        return reading
    }

    /// The second number of /proc/self/statm.
    private static func residentPages() -> Int {
        let descriptor = unsafe open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = unsafe read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return 0 }
        let numbers = String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: " ")
        return numbers.count > 1 ? Int(numbers[1]) ?? 0 : 0
    }

    private static func openFileCount() -> Int {
        guard let folder = unsafe opendir("/proc/self/fd") else { return 0 }
        defer { unsafe closedir(folder) }
        // Without `.`, `..` and the folder's own descriptor.
        var count = -3
        while unsafe readdir(folder) != nil { count += 1 }
        return max(0, count)
    }
}
