# Language level, build types, warnings, sanitizers, ccache and mold. Flags that only our own code
# should see live on the interface target weft_flags.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_DEV "-O2")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

add_library(weft_flags INTERFACE)
target_include_directories(weft_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(weft_flags INTERFACE -Wall -Wextra)
if(WEFT_WERROR)
  target_compile_options(weft_flags INTERFACE -Werror)
endif()
if(WEFT_SANITIZE)
  set(CMAKE_CXX_FLAGS_DEV "-O1")
  add_compile_options(-fsanitize=${WEFT_SANITIZE} -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${WEFT_SANITIZE})
  target_compile_definitions(weft_flags INTERFACE WEFT_SANITIZED)
endif()

find_program(WEFT_CCACHE ccache)
if(WEFT_CCACHE)
  # Paths below the source tree are hashed as relative ones, so that clones share their cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
      CCACHE_NOHASHDIR=1 ${WEFT_CCACHE})
endif()
find_program(WEFT_MOLD mold)
if(WEFT_MOLD AND NOT WEFT_SANITIZE)
  add_link_options(-fuse-ld=mold)
endif()
