# written by `broker run` for one build: R_PROFILE names this file
#
# R >= 4.6.0 takes credentials from the file that R_DEFAULT_NETRC names. Older versions download by "libcurl" without
# looking at any netrc, while the curl program finds ours through CURL_HOME. So there, and only for hosts that our netrc
# names, utils::download.file() asks curl; every other download is made as if this file did not exist.
if (getRversion() < "4.6.0") local({
  namespace <- asNamespace("utils")
  plain_download <- get("download.file", envir = namespace)

  # The file is read at each download: it is empty once the build is over.
  hosts_with_token <- function() {
    netrc <- Sys.getenv("R_DEFAULT_NETRC")
    if (!nzchar(netrc) || !file.exists(netrc)) return(character())
    words <- strsplit(readLines(netrc, warn = FALSE), " ", fixed = TRUE)
    vapply(words, function(line) line[2L], "")
  }

  # A user name in the URL means that somebody has other plans for it.
  needs_token <- function(url) {
    bare <- "^https?://([^/@:?#]+)(:[0-9]+)?([/?#].*)?$"
    grepl(bare, url, ignore.case = TRUE) & tolower(sub(bare, "\\1", url, ignore.case = TRUE)) %in% hosts_with_token()
  }

  # Like "libcurl", and unlike R's own "curl" method, a refusal is an error and not a file full of JSON.
  by_curl <- function(url, destfile, quiet, mode, cacheOK, extra, headers) {
    status <- tryCatch(
      suppressWarnings(plain_download(
        url, destfile, method = "curl", quiet = quiet, mode = mode, cacheOK = cacheOK,
        extra = c(extra, "--location", "--fail"), headers = headers
      )),
      error = conditionMessage  # newer versions of R stop by themselves, older ones return curl's exit code
    )
    if (!identical(as.character(status), "0")) stop("cannot open URL '", url, "': curl: ", status, call. = FALSE)
    0L
  }

  # The status of each of several downloads; as with "libcurl", one that fails warns and the others go on.
  status_of <- function(download) {
    tryCatch(download, error = function(fault) {
      warning(conditionMessage(fault), call. = FALSE)
      1L
    })
  }

  download.file <- function(url, destfile, method, quiet = FALSE, mode = "w", cacheOK = TRUE,
                            extra = getOption("download.file.extra"), headers = NULL, ...) {
    chosen <- if (missing(method)) getOption("download.file.method", "auto") else method
    ours <- is.character(url) && is.character(chosen) && length(chosen) == 1L &&
      chosen %in% c("auto", "default", "libcurl") && nzchar(Sys.which("curl"))
    token <- if (ours) needs_token(url) else FALSE

    if (!any(token)) {
      if (missing(method))
        return(plain_download(url, destfile, quiet = quiet, mode = mode, cacheOK = cacheOK, extra = extra,
                              headers = headers, ...))
      return(plain_download(url, destfile, method = method, quiet = quiet, mode = mode, cacheOK = cacheOK,
                            extra = extra, headers = headers, ...))
    }
    if (length(url) == 1L) return(invisible(by_curl(url, destfile, quiet, mode, cacheOK, extra, headers)))

    statuses <- integer(length(url))
    for (i in seq_along(url)) {
      statuses[i] <- status_of(
        if (token[i]) by_curl(url[i], destfile[i], quiet, mode, cacheOK, extra, headers)
        else as.integer(plain_download(url[i], destfile[i], method = "libcurl", quiet = quiet, mode = mode,
                                       cacheOK = cacheOK, extra = extra, headers = headers, ...))
      )
    }
    invisible(structure(if (any(statuses == 0L)) 0L else 1L, retvals = statuses))
  }

  unlockBinding("download.file", namespace)
  assign("download.file", download.file, envir = namespace)
  lockBinding("download.file", namespace)
})

# R reads R_PROFILE *instead of* the site's profile, so the site's comes from here; last, so that what it downloads
# finds its credentials too. It is evaluated where R would have done it: in the global environment.
local({
  told <- Sys.getenv("BROKER_ORIG_R_PROFILE", NA)
  places <- if (is.na(told)) unique(file.path(R.home("etc"), c(.Platform$r_arch, ""), "Rprofile.site")) else told
  found <- places[nzchar(places) & file.exists(places)]
  if (length(found)) sys.source(found[1L], envir = globalenv())
})
