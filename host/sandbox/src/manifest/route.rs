//! Routes as Spin understands them: an exact path, or a path with everything below it.

/// Path, or with a trailing `/...` a path and everything below it. A slash at the end makes no difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Path without a slash at the end, so empty for the root.
    path: String,
    wildcard: bool,
}

impl Route {
    /// Parses a route; none if the text is not one. Spin's named segments (`/cards/:id`) are not supported, and are
    /// refused rather than taken for a segment that begins with a colon.
    pub fn parse(text: &str) -> Option<Self> {
        let (path, wildcard) = match text.strip_suffix("/...") {
            Some(path) => (path, true),
            None => (text.strip_suffix('/').unwrap_or(text), false),
        };
        let segments = if text == "/" || text == "/..." { "" } else { path.strip_prefix('/')? };
        let plain = |segment: &str| !segment.is_empty() && !segment.contains([':', '*', '?', '#', ' ', '{']);
        let sound = path.is_empty() || segments.split('/').all(plain);
        sound.then(|| Self { path: path.to_owned(), wildcard })
    }

    pub fn matches(&self, path: &str) -> bool {
        match path.strip_prefix(&self.path) {
            Some("" | "/") => true,
            Some(below) => self.wildcard && below.starts_with('/'),
            None => false,
        }
    }

    /// Precedence of a route: of the routes that match a path, the one with the highest answers.
    pub fn precedence(&self) -> (bool, usize) {
        (!self.wildcard, self.path.len())
    }
}

impl std::fmt::Display for Route {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = match (self.wildcard, self.path.is_empty()) {
            (true, _) => "/...",
            (false, true) => "/",
            (false, false) => "",
        };
        write!(formatter, "{}{end}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(route: &str, path: &str) -> bool {
        Route::parse(route).expect(route).matches(path)
    }

    #[test]
    fn an_exact_route_matches_its_path_only() {
        assert!(matches("/foo", "/foo") && matches("/foo", "/foo/") && matches("/", "/"));
        assert!(!matches("/foo", "/foo/bar") && !matches("/foo", "/foobar") && !matches("/", "/foo"));
    }

    #[test]
    fn a_wildcard_matches_the_path_and_all_below() {
        assert!(matches("/foo/...", "/foo") && matches("/foo/...", "/foo/bar/baz") && matches("/...", "/x"));
        assert!(!matches("/foo/...", "/foobar") && !matches("/foo/...", "/"));
    }

    #[test]
    fn what_is_no_route_is_refused() {
        for text in ["", "foo", "...", "/a//b", "/cards/:id", "/a/*", "/a/.../b?c"] {
            assert_eq!(Route::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_route_reads_as_it_is_written() {
        for text in ["/", "/...", "/foo", "/foo/bar/..."] {
            assert_eq!(Route::parse(text).expect(text).to_string(), text);
        }
    }
}
