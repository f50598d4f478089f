import Glibc
import Policy

extension Envoy {
  /// The bootstrap as JSON text (Envoy reads JSON as it reads YAML), the same for the same proxy and paths.
  ///
  /// It holds no policy: listeners on the Proxy's addresses, the original destination as the only upstream,
  /// and one filter that Envoy discovers in `paths.rules`. Until that file is good, every request is refused;
  /// it must exist before Envoy starts. Run Envoy with `Envoy.arguments`; it needs no capability.
  public static func bootstrap(for proxy: Proxy, paths: Paths) -> String {
    let document: JSON = [
      "node": ["id": .string(proxy.name.description), "cluster": "weir"],
      "admin": ["address": ["pipe": ["path": .string(paths.admin), "mode": 0o600]]],
      "static_resources": [
        "listeners": .array(proxy.addresses.sorted().map { listener($0, port: proxy.port, paths: paths) }),
        "clusters": [originalDestination],
      ],
      "overload_manager": ["resource_monitors": [connectionLimit]],
      "layered_runtime": ["layers": [["name": "static", "static_layer": regexLimit]]],
    ]
    return document.pretty
  }

  /// Beyond this Envoy closes new connections at once. A proxied connection takes two descriptors.
  private static let maximumConnections = 20_000

  /// Bytes buffered for a slow reader, each way, before the writer is held back. Envoy's own megabyte is too
  /// much for this many connections.
  private static let bufferLimit = 262_144

  /// Envoy refuses a regular expression of more than 100 steps unless it is told otherwise, and with it all
  /// rules. What RE2 itself cannot take the decoder has refused.
  private static let regexLimit: JSON = ["re2.max_program_size.error_level": 100_000]

  private static var connectionLimit: JSON {
    [
      "name": "envoy.resource_monitors.global_downstream_max_connections",
      "typed_config": [
        "@type": type("extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"),
        "max_active_downstream_connections": .number(maximumConnections),
      ],
    ]
  }

  private static func listener(_ address: IPAddress, port: UInt16, paths: Paths) -> JSON {
    [
      "name": address.isV4 ? "redirected4" : "redirected6",
      "address": [
        "socket_address": ["address": .string(text(of: address)), "port_value": .number(Int(port))]
      ],
      "per_connection_buffer_limit_bytes": .number(bufferLimit),
      // The kernel half answers both: SO_ORIGINAL_DST with where the client wanted to go, and the peer
      // address with who the client is; original_src makes Envoy bind its upstream socket to the latter,
      // which hands it back.
      "listener_filters": [
        [
          "name": "envoy.filters.listener.original_dst",
          "typed_config": ["@type": type("extensions.filters.listener.original_dst.v3.OriginalDst")],
        ],
        [
          "name": "envoy.filters.listener.original_src",
          "typed_config": ["@type": type("extensions.filters.listener.original_src.v3.OriginalSrc")],
        ],
      ],
      "filter_chains": [
        [
          "filters": [
            [
              "name": "envoy.filters.network.http_connection_manager",
              "typed_config": connectionManager(paths),
            ]
          ]
        ]
      ],
    ]
  }

  private static func connectionManager(_ paths: Paths) -> JSON {
    [
      "@type": type(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
      "stat_prefix": "redirected",
      "codec_type": "AUTO",
      // The path is judged in the form in which it is sent on, and that form is Istio's default (BASE: dot
      // segments resolved, %-encoded unreserved characters decoded): the same file means the same here as
      // there. Merging slashes or decoding %2F would change requests for backends that tell them apart, which
      // Istio leaves to choice.
      "normalize_path": true,
      "merge_slashes": false,
      "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
      // The proxy is not part of the conversation: no header is added, taken away or written in another case
      // where Envoy can be told so. (It adds x-forwarded-proto, and date to a response without one, all the
      // same.)
      "use_remote_address": false,
      "skip_xff_append": true,
      "internal_address_config": ["unix_sockets": false],
      "forward_client_cert_details": "ALWAYS_FORWARD_ONLY",
      "generate_request_id": false,
      "server_header_transformation": "PASS_THROUGH",
      "proxy_100_continue": true,
      "http_protocol_options": http1,
      "http2_protocol_options": http2,
      "upgrade_configs": [["upgrade_type": "websocket"]],
      // Without the proxy an idle websocket or stream would live for as long as both ends want it.
      "stream_idle_timeout": "0s",
      "access_log": [accessLog(paths)],
      "route_config": ["name": "redirected", "virtual_hosts": [everything]],
      "http_filters": [
        discoveredFilter(paths),
        [
          "name": "envoy.filters.http.router",
          "typed_config": [
            "@type": type("extensions.filters.http.router.v3.Router"), "suppress_envoy_headers": true,
          ],
        ],
      ],
    ]
  }

  private static let http1: JSON = [
    "accept_http_10": true,
    "enable_trailers": true,
    "header_key_format": [
      "stateful_formatter": [
        "name": "preserve_case",
        "typed_config": [
          "@type": type("extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"),
          "forward_reason_phrase": true,
        ],
      ]
    ],
  ]

  private static let http2: JSON = [:]

  private static let everything: JSON = [
    "name": "all",
    "domains": ["*"],
    "routes": [["match": ["prefix": "/"], "route": ["cluster": "original", "timeout": "0s"]]],
  ]

  /// One RBAC filter by ECDS. Policy in the listener itself would be kept by open connections until they are
  /// drained.
  private static func discoveredFilter(_ paths: Paths) -> JSON {
    [
      "name": .string(filter),
      "config_discovery": [
        "config_source": [
          "resource_api_version": "V3",
          "path_config_source": [
            "path": .string(paths.rules), "watched_directory": ["path": .string(paths.directory)],
          ],
        ],
        "type_urls": [type("extensions.filters.http.rbac.v3.RBAC")],
        // Rules without a policy allow nothing. (An RBAC filter without rules would allow everything.)
        "default_config": ["@type": type("extensions.filters.http.rbac.v3.RBAC"), "rules": [:]],
        "apply_default_config_without_warming": true,
      ],
    ]
  }

  /// The query is left out: rules do not look at it, and it is where secrets are.
  private static func accessLog(_ paths: Paths) -> JSON {
    let rbac = "DYNAMIC_METADATA(envoy.filters.http.rbac:"
    return [
      "name": "envoy.access_loggers.file",
      "typed_config": [
        "@type": type("extensions.access_loggers.file.v3.FileAccessLog"),
        "path": .string(paths.accessLog),
        "log_format": [
          "json_format": [
            "time": "%START_TIME%",
            "code": "%RESPONSE_CODE%",
            "source": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
            "destination": "%DOWNSTREAM_LOCAL_ADDRESS%",
            "protocol": "%PROTOCOL%",
            "method": "%REQ(:METHOD)%",
            "host": "%REQ(:AUTHORITY)%",
            "path": "%PATH(NQ)%",
            "details": "%RESPONSE_CODE_DETAILS%",
            "flags": "%RESPONSE_FLAGS%",
            "milliseconds": "%DURATION%",
            "verdict": .string("%\(rbac)enforced_engine_result)%"),
            "rule": .string("%\(rbac)enforced_effective_policy_id)%"),
            // Of AUDIT and dry-run rules, and of all rules with `--audit`; null where nothing is only
            // watched.
            "shadowVerdict": .string("%\(rbac)shadow_engine_result)%"),
            "shadowRule": .string("%\(rbac)shadow_effective_policy_id)%"),
          ]
        ],
      ],
    ]
  }

  /// Where the client wanted to go, in the client's protocol: HTTP/2 stays HTTP/2, so gRPC passes.
  private static var originalDestination: JSON {
    let maximum = JSON.number(Int(UInt32.max))
    return [
      "name": "original",
      "type": "ORIGINAL_DST",
      "lb_policy": "CLUSTER_PROVIDED",
      "connect_timeout": "5s",
      "per_connection_buffer_limit_bytes": .number(bufferLimit),
      // Envoy's default of 1024 each would be one limit for all destinations together.
      "circuit_breakers": [
        "thresholds": [
          [
            "max_connections": maximum, "max_pending_requests": maximum, "max_requests": maximum,
          ]
        ]
      ],
      "typed_extension_protocol_options": [
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": [
          "@type": type("extensions.upstreams.http.v3.HttpProtocolOptions"),
          "use_downstream_protocol_config": [
            "http_protocol_options": http1, "http2_protocol_options": http2,
          ],
        ]
      ],
    ]
  }
}

extension Envoy {
  /// As `inet_ntop` writes it: 10.0.0.5, fd00::5.
  static func text(of address: IPAddress) -> String {
    var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    var wire = address.wire
    if address.isV4 {
      inet_ntop(AF_INET, &wire.word.3, &buffer, socklen_t(buffer.count))
    } else {
      inet_ntop(AF_INET6, &wire.word, &buffer, socklen_t(buffer.count))
    }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
