extension Request {
  /// As the proxy's rules see it.
  var normalized: Request { self }
}
