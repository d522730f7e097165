function __plan_no_command
    test (count (commandline -opc)) -eq 1
end
function __plan_command
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test $words[2] = $argv[1]
end
function __plan_program
    set -l words (commandline -opc)
    command $words[1] completion $argv 2>/dev/null
end
function __plan_file
    set -l words (commandline -opc)
    set -l before
    for word in $words[3..-1]
        if test "$before" != --inputs; and string match -qr '^[^-].*\.ya?ml$' -- $word
            string replace -r '^~/' "$HOME/" -- $word
            return 0
        end
        set before $word
    end
    return 1
end
function __plan_steps
    __plan_program steps (__plan_file)
end
function __plan_modules
    __plan_program modules
end
function __plan_plans
    __fish_complete_suffix .yaml | string match -r '.*(?:/|\.ya?ml)(?:\t.*)?$'
    __fish_complete_suffix .yml | string match -r '.*(?:/|\.ya?ml)(?:\t.*)?$'
end
function __plan_any
    for kind in $argv
        switch $kind
            case plans
                __plan_file >/dev/null; or __plan_plans
            case steps modules
                __plan_$kind
            case '*'
                echo $kind
        end
    end
end
