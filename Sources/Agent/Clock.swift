import Glibc

/// The two clocks: one for how long, one for when.
enum Clock {
  /// Nanoseconds of CLOCK_MONOTONIC, as the kernel half stamps events.
  static func monotonic() -> UInt64 { read(CLOCK_MONOTONIC) }

  /// Nanoseconds since 1970.
  static func wall() -> UInt64 { read(CLOCK_REALTIME) }

  /// What turns CLOCK_MONOTONIC into nanoseconds since 1970, as of now.
  static func wallOffset() -> UInt64 { wall() &- monotonic() }

  /// RFC 3339 in UTC with milliseconds: `2026-01-31T12:00:00.250Z`.
  static func timestamp(_ nanoseconds: UInt64) -> String {
    var seconds = time_t(nanoseconds / 1_000_000_000)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func digits(_ value: Int, _ width: Int) -> String {
      let text = String(value)
      return String(repeating: "0", count: max(0, width - text.count)) + text
    }
    let date =
      "\(digits(Int(parts.tm_year) + 1900, 4))-\(digits(Int(parts.tm_mon) + 1, 2))"
      + "-\(digits(Int(parts.tm_mday), 2))"
    let time =
      "\(digits(Int(parts.tm_hour), 2)):\(digits(Int(parts.tm_min), 2)):\(digits(Int(parts.tm_sec), 2))"
    return "\(date)T\(time).\(digits(Int(nanoseconds / 1_000_000 % 1000), 3))Z"
  }

  static func sleep(milliseconds: Int) {
    var time = timespec(tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000)
    nanosleep(&time, nil)
  }

  private static func read(_ clock: clockid_t) -> UInt64 {
    var value = timespec()
    clock_gettime(clock, &value)
    return UInt64(value.tv_sec) * 1_000_000_000 + UInt64(value.tv_nsec)
  }
}
