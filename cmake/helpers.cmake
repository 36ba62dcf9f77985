# Functions that the other build files share.

# Puts every file below the ROOTS whose name matches SUFFIX, except what matches EXCLUDE, into OUT.
function(small_db_glob OUT)
  cmake_parse_arguments(ARG "" "SUFFIX;EXCLUDE" "ROOTS" ${ARGN})
  list(TRANSFORM ARG_ROOTS PREPEND "${PROJECT_SOURCE_DIR}/" OUTPUT_VARIABLE patterns)
  list(TRANSFORM patterns APPEND "/*${ARG_SUFFIX}")
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${patterns})
  if(ARG_EXCLUDE)
    list(FILTER files EXCLUDE REGEX "${ARG_EXCLUDE}")
  endif()
  set(${OUT} "${files}" PARENT_SCOPE)
endfunction()

# A static library of all .cc files below ROOTS. While there are none it is an interface library;
# NAME_SCOPE holds the scope that target_link_libraries then needs.
function(small_db_library NAME)
  cmake_parse_arguments(ARG "" "EXCLUDE" "ROOTS" ${ARGN})
  small_db_glob(sources ROOTS ${ARG_ROOTS} SUFFIX ".cc" EXCLUDE "${ARG_EXCLUDE}")
  if(sources)
    add_library(${NAME} STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(${NAME} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${NAME} ${scope} "${PROJECT_SOURCE_DIR}")
  set(${NAME}_SCOPE ${scope} PARENT_SCOPE)
endfunction()

function(small_db_use_ccache)
  find_program(CCACHE_PROGRAM ccache)
  if(CCACHE_PROGRAM)
    # Without this sloppiness ccache does not cache what uses a precompiled header.
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
        CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM} PARENT_SCOPE)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      add_compile_options(-fpch-preprocess)
    else()
      add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
    endif()
  endif()
endfunction()
