# Third-party libraries, all from the distribution. scripts/bootstrap.sh installs them.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(spdlog 1.10 REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto SSL)
find_package(SQLite3 REQUIRED)
find_package(CURL REQUIRED)
find_package(ZLIB REQUIRED)

foreach(name IN ITEMS libseccomp libpcre2-8 sentencepiece libutf8proc)
  string(REGEX REPLACE "^lib|-8$" "" target ${name})
  pkg_check_modules(${target} REQUIRED IMPORTED_TARGET ${name})
endforeach()

# Debian's Python, named explicitly: the sandbox embeds it, whatever python3 is first on PATH.
set(WEFT_PYTHON /usr/bin/python3 CACHE FILEPATH "Python whose library the sandbox embeds")
set(Python3_EXECUTABLE ${WEFT_PYTHON})
set(Python3_FIND_VIRTUALENV STANDARD)
find_package(Python3 3.11 REQUIRED COMPONENTS Interpreter Development.Embed)
